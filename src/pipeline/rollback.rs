//! Going back to earlier generations: a plan from what the hypervisor itself knows, for
//! the same transaction as any other. Nothing is evaluated, and no Nix is needed here.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Aim, recall, wishes};
use super::past::{Looked, open};
use super::{Choices, Context, SettleOne, Target};
use crate::error::Result;
use crate::host::clock;
use crate::model::closure::Closure;
use crate::model::inventory::FlakeFacts;
use crate::model::ledger::Entry;
use crate::model::name::{VmName, Word};
use crate::model::observed::{Found, Observed};
use crate::model::plan::{How, Move, Plan};
use crate::model::store_path::StorePath;
use crate::plan::decide::decide;
use crate::plan::{generations, select};
use crate::report::quantity;
use crate::stage::ledger;
use crate::stage::observe;
use crate::stage::places::{self, Guests};
use crate::stage::recall::Recalled;

/// What the user wants to go back to.
pub struct Return<'a> {
    /// Where.
    pub target: Target,
    /// Names, globs and tags as typed.
    pub typed: Vec<String>,
    /// Tags that are known without the flake.
    pub tags: BTreeMap<VmName, Vec<Word>>,
    /// A certain generation.
    pub to: Option<u64>,
    /// What the settings at hand make of those that the generation was deployed with.
    pub settle: SettleOne<'a>,
}

impl Return<'_> {
    /// What to type to have the same for one VM.
    pub fn again(&self, vm: &VmName) -> String {
        let to = self.to.map(|number| format!(" --to {number}")).unwrap_or_default();
        format!("rollback {vm}{to}")
    }
}

/// A plan to go back.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// The open connection, and what was found.
    pub looked: Looked,
}

/// Makes the plan.
///
/// # Errors
/// 2 for a VM or number that there is not, 12 when there is nothing to go back to, 11
/// when the hypervisor cannot be reached.
pub async fn prepare(context: &Context, wanted: &Return<'_>) -> Result<Prepared> {
    let looked = open(context, &wanted.target).await?;
    let chosen = select::among(&wanted.typed, &looked.known(), &wanted.tags)?;
    let mut looked = looked.in_turn(context, &chosen).await?;
    let ledger = ledger::read(&looked.host, &chosen).await?;
    let mut aims = Vec::new();
    for vm in chosen {
        let installed: BTreeSet<VmName> = looked.observed.vms.keys().cloned().collect();
        let found = looked.observed.vms.get(&vm).ok_or_else(|| select::unknown(vm.as_str(), &installed))?;
        let (number, path) = generations::previous(&vm, found, &ledger.entries, wanted.to)?;
        aims.push(Aim { vm, number, path });
    }
    // Excuses need the whole story of these VMs, not only the ledger's end.
    looked.observed.ledger = ledger.entries;
    let recalled = recall(&looked.host, &aims).await?;
    let wishes = wishes(&aims, &recalled, &wanted.settle)?;
    let closures = closures(&mut looked, &aims).await?;
    let mut plan = decide(&wanted.target.name, &wishes, &looked.observed, &closures, Choices::default());
    for movement in &mut plan.moves {
        if let Some((aim, recalled)) = aims.iter().zip(&recalled).find(|(aim, _)| aim.vm == movement.vm) {
            explain(movement, aim, recalled, &looked.observed);
        }
    }
    let mut tried: Vec<&mut Move> = plan.moves.iter_mut().filter(|m| m.is_tried()).collect();
    let places = places::look(&looked.host, &mut tried, Guests::MayLetIn).await?;
    plan.warnings.extend(places);
    Ok(Prepared { plan, looked })
}

/// The closures of both sides, which are all on the hypervisor: nothing is to be sent.
async fn closures(looked: &mut Looked, aims: &[Aim]) -> Result<BTreeMap<StorePath, Closure>> {
    let running = |found: &Found| found.booted_path().filter(|_| found.is_running()).or(found.staged());
    let mut paths: BTreeSet<StorePath> = aims.iter().map(|aim| aim.path.clone()).collect();
    paths.extend(aims.iter().filter_map(|aim| looked.observed.vms.get(&aim.vm).and_then(running)));
    let paths: Vec<StorePath> = paths.into_iter().collect();
    let closures: BTreeMap<StorePath, Closure> =
        observe::closures(&looked.host, &paths).await?.into_iter().collect();
    looked.observed.closures = closures.clone();
    Ok(closures)
}

/// Says which generation it is, and refuses one that is not in the store any more.
fn explain(movement: &mut Move, aim: &Aim, recalled: &Recalled, observed: &Observed) {
    let made = generations::made_by(&aim.vm, aim.number, &aim.path, &observed.ledger);
    // So that a later push can tell whether it is behind this.
    movement.made_of = made.filter(|entry| entry.revision.is_some()).map(|entry| FlakeFacts {
        revision: entry.revision.clone(),
        dirty: entry.dirty.unwrap_or_default(),
        fingerprint: entry.fingerprint.clone().unwrap_or_default(),
        ..FlakeFacts::default()
    });
    movement.notes.insert(0, which(aim.number, made, observed.vms.get(&aim.vm)));
    if !recalled.valid && !matches!(movement.how, How::Refuse(_)) {
        movement.how = How::Refuse(collected(aim));
    }
    if recalled.terms.is_none() {
        // A guess is not written down as if it were known.
        movement.terms = None;
        if movement.changes() {
            let known =
                if movement.checks.is_empty() { "its taps alone are" } else { "its taps and address are" };
            movement.notes.push(format!("nothing was kept about how it was deployed, so {known} checked"));
        }
    }
}

fn collected(Aim { vm, number, path }: &Aim) -> String {
    format!(
        "generation {number} was collected: {path} is not in the hypervisor's store any more; \
         to see the others: deployvm generations {vm}"
    )
}

/// Which generation it is, of what commit, and when it was made.
fn which(number: u64, made: Option<&Entry>, found: Option<&Found>) -> String {
    let revision = made.and_then(|entry| entry.revision.as_deref());
    let of = quantity::revision(revision, made.and_then(|entry| entry.dirty));
    let of = if of.is_empty() { of } else { format!(" of {of}") };
    let since = found.and_then(|found| generations::made_when(made, found, number, clock::rfc3339));
    let since = since.map(|time| format!(", made {time}")).unwrap_or_default();
    format!("this is generation {number}{of}{since}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_left_when_it_was_collected() {
        let path = "/nix/store/0123abcd0123abcd0123abcd0123abcd-microvm-qemu-vm1".parse().unwrap();
        let text = collected(&Aim { vm: "vm1".parse().unwrap(), number: 3, path });
        assert!(text.starts_with("generation 3 was collected: /nix/store/0123"), "{text}");
        assert!(text.ends_with("; to see the others: deployvm generations vm1"), "{text}");
    }

    #[test]
    fn says_which_generation_it_is() {
        let mut found = Found::example("active", String::new());
        let path = "/nix/store/0123abcd0123abcd0123abcd0123abcd-microvm-qemu-vm1".parse().unwrap();
        (found.generations, found.generation_times) = (vec![(3, path)], vec![0]);
        let line =
            serde_json::json!({ "id": "t", "vm": "vm1", "revision": "0123456789abcdef", "dirty": true });
        let mut made: Entry = serde_json::from_value(line).unwrap();
        let text = "this is generation 3 of 012345678+, made 1970-01-01T00:00:00Z";
        assert_eq!(which(3, Some(&made), Some(&found)), text);
        (made.dirty, made.time) = (Some(false), Some("2026-11-20T18:39:01Z".to_owned()));
        let text = "this is generation 3 of 012345678, made 2026-11-20T18:39:01Z";
        assert_eq!(which(3, Some(&made), Some(&found)), text);
        assert_eq!(which(3, None, None), "this is generation 3");
    }
}
