//! Why a runner changed. Two graphs of derivations are walked in pairs, level by level
//! from the runners down, and only where they differ. What is told is where a difference
//! begins: in a derivation whose own things changed, not in those that are only built
//! from it. Pure: whoever walks is told which derivations it needs, and fetches them.

mod judge;
mod shorten;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::pairs;
use crate::model::derivation::Derivation;
use crate::model::store_path::StorePath;
use crate::model::why::{Cause, Change, What, Why};

/// Causes that are looked for; more of them explain nothing any more.
pub const MOST_CAUSES: usize = 100;
/// Changes in one derivation.
const MOST_CHANGES: usize = 100;
/// Derivations that are looked into: a system has some thousands.
const MOST_DERIVATIONS: usize = 20_000;
/// Pairs of them: in two versions of one system there are not many more pairs than
/// derivations.
const MOST_PAIRS: usize = 50_000;
/// Bytes that are compared: one derivation may be in many pairs.
const MOST_WORK: usize = 512 << 20;
/// What it costs to take one output's path for another.
const OUTPUT: usize = 100;
/// Steps from a runner: the longest way to a compiler's compiler has about a hundred.
const MOST_LEVELS: usize = 300;

/// Two derivations of which one has taken the place of the other.
#[derive(Debug, Clone)]
struct Pair {
    before: StorePath,
    after: StorePath,
    way: Arc<Step>,
}

/// The way from a runner: ways have their beginnings in common.
#[derive(Debug)]
struct Step {
    name: String,
    above: Option<Arc<Step>>,
}

impl Step {
    fn new(path: &StorePath, above: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { name: pairs::name(path).to_owned(), above })
    }

    /// All names, from the runner down.
    fn names(&self) -> Vec<String> {
        let steps = std::iter::successors(Some(self), |step| step.above.as_deref());
        let mut names: Vec<String> = steps.map(|step| step.name.clone()).collect();
        names.reverse();
        names
    }
}

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    known: BTreeMap<StorePath, Option<Derivation>>,
    level: Vec<Pair>,
    depth: usize,
    seen: BTreeSet<(StorePath, StorePath)>,
    /// Bytes that may still be compared.
    room: usize,
    why: Why,
}

impl Walk {
    /// Begins at the derivations of two runners.
    pub fn begin(before: &StorePath, after: &StorePath) -> Self {
        let mut walk = Self {
            known: BTreeMap::new(),
            level: Vec::new(),
            depth: 0,
            seen: BTreeSet::new(),
            room: MOST_WORK,
            why: Why::default(),
        };
        if before != after {
            walk.level.push(Pair {
                before: before.clone(),
                after: after.clone(),
                way: Step::new(after, None),
            });
        }
        walk
    }

    /// The derivations without which it cannot go on; none when it has ended.
    pub fn needs(&mut self) -> BTreeSet<StorePath> {
        loop {
            let needs = self.unknown();
            if !needs.is_empty() && self.known.len() + needs.len() > MOST_DERIVATIONS {
                self.stop();
            } else if !needs.is_empty() || self.level.is_empty() {
                return needs;
            } else {
                self.descend();
            }
        }
    }

    /// Learns what a derivation is; `None` when nobody can tell.
    pub fn learn(&mut self, path: StorePath, derivation: Option<Derivation>) {
        self.known.insert(path, derivation);
    }

    /// Goes no further: what was found so far is what is told.
    pub fn stop(&mut self) {
        self.why.more |= !self.level.is_empty();
        self.level.clear();
    }

    /// What was found.
    pub fn end(mut self) -> Why {
        self.stop();
        self.why
    }

    /// What the pairs of this level and their inputs are, as far as that is not known.
    fn unknown(&self) -> BTreeSet<StorePath> {
        let mut needs = BTreeSet::new();
        for pair in &self.level {
            let own = [&pair.before, &pair.after];
            needs.extend(own.into_iter().filter(|path| !self.known.contains_key(*path)).cloned());
            if let (Some(before), Some(after)) = (self.look(&pair.before), self.look(&pair.after)) {
                let (old, new) = pairs::differing(before, after);
                needs.extend(old.into_iter().chain(new).filter(|p| !self.known.contains_key(*p)).cloned());
            }
        }
        needs
    }

    fn look(&self, path: &StorePath) -> Option<&Derivation> {
        self.known.get(path)?.as_ref()
    }

    /// Judges every pair of this level, and makes the next.
    fn descend(&mut self) {
        let mut next = Vec::new();
        for pair in std::mem::take(&mut self.level) {
            if self.room == 0 {
                self.why.more = true;
                break;
            }
            self.room = self.room.saturating_sub(self.cost(&pair));
            let (mut changes, below) = self.judge(&pair);
            self.why.more |= changes.len() > MOST_CHANGES;
            changes.truncate(MOST_CHANGES);
            if !changes.is_empty() {
                let Pair { way, before, after } = pair.clone();
                self.why.causes.push(Cause { way: way.names(), before, after, changes });
            }
            for (before, after) in below {
                if self.seen.len() >= MOST_PAIRS {
                    self.why.more = true;
                } else if self.seen.insert((before.clone(), after.clone())) {
                    let way = Step::new(&after, Some(Arc::clone(&pair.way)));
                    next.push(Pair { before, after, way });
                }
            }
        }
        self.level = next;
        self.depth += 1;
        if self.depth >= MOST_LEVELS || self.why.causes.len() >= MOST_CAUSES || self.room == 0 {
            self.stop();
        }
        self.why.more |= self.why.causes.len() > MOST_CAUSES;
        self.why.causes.truncate(MOST_CAUSES);
    }

    /// About how many bytes are compared to judge a pair.
    fn cost(&self, pair: &Pair) -> usize {
        let (Some(before), Some(after)) = (self.look(&pair.before), self.look(&pair.after)) else {
            return 0;
        };
        let (old, new) = pairs::differing(before, after);
        let outputs = old.iter().chain(&new).filter_map(|path| self.look(path)).map(|d| d.outputs.len());
        before.weight() + after.weight() + OUTPUT * outputs.sum::<usize>()
    }

    /// What differs in a pair by itself, and which of its inputs differ.
    fn judge(&self, pair: &Pair) -> (Vec<Change>, Vec<(StorePath, StorePath)>) {
        let (Some(before), Some(after)) = (self.look(&pair.before), self.look(&pair.after)) else {
            let name = pairs::name(&pair.after).to_owned();
            return (vec![Change { what: What::Unreadable, name, before: None, after: None }], Vec::new());
        };
        if judge::makes_the_same(before, after) {
            return Default::default();
        }
        let (old, new) = pairs::differing(before, after);
        let matched = pairs::matched(&old, &new);
        let names = (pairs::name(&pair.before), pairs::name(&pair.after));
        let changes = judge::own(names, (before, after), &matched, |path| self.look(path));
        let fixed = judge::fixed(before) && judge::fixed(after);
        (changes, if fixed { Vec::new() } else { matched.pairs })
    }
}

#[cfg(test)]
#[path = "why/tests.rs"]
mod tests;
