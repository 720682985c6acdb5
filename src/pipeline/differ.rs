//! Closure diffs by themselves: of what runs and what the flake wants, or of two
//! generations on the hypervisor; and where that is asked, why runners differ and how
//! their small text files do.

use std::collections::{BTreeMap, BTreeSet};

use super::past::open;
use super::prepare::{self, Prepared};
use super::why::{Library, Numbered};
use super::{Context, Intent, Target};
use crate::error::{Aftermath, Failure, Result};
use crate::host::Host;
use crate::model::closure::Closure;
use crate::model::inventory::Wanted;
use crate::model::name::VmName;
use crate::model::plan::{Move, Plan};
use crate::model::store_path::StorePath;
use crate::model::text::Texts;
use crate::model::why::Why;
use crate::plan::diff::{bytes_to_send, closure_diff};
use crate::plan::{generations, select, texts};
use crate::report::Difference;
use crate::stage::evaluate::{EvalRequest, evaluate};
use crate::stage::{derive, observe};

/// What is asked beyond closures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Why runners differ.
    pub why: bool,
    /// How small text files differ.
    pub text: bool,
}

/// What every VM runs against what the flake wants; with the plan that says what could
/// not be evaluated. Ctrl-C is obeyed in here.
///
/// # Errors
/// As for [`prepare::prepare`].
pub async fn with_flake(
    context: &Context,
    intent: Intent<'_>,
    depth: Depth,
) -> Result<(Vec<Difference>, Plan)> {
    let request = prepare::request(context, &intent)?;
    let prepared = prepare::prepare(context, intent).await?;
    let mut differences: Vec<Difference> =
        prepared.plan.moves.iter().map(|movement| one(movement, &prepared)).collect();
    let deeper = deepen(context, &prepared, &request, &mut differences, depth);
    let deeper = context.unless_interrupted(Aftermath::Declined, deeper).await;
    let plan = prepared.plan.clone();
    prepared.close(context).await;
    deeper.map(|()| (differences, plan))
}

fn one(movement: &Move, prepared: &Prepared) -> Difference {
    let difference = Difference::between(movement.vm.clone(), movement.from.clone(), movement.to.clone());
    if difference.is_none() {
        return difference;
    }
    let before = movement.from.as_ref().and_then(|path| prepared.observed.closures.get(path));
    let after = prepared.closures.get(&movement.to).cloned().unwrap_or_default();
    let known: Vec<&Closure> = prepared.observed.closures.values().collect();
    let diff = closure_diff(&before.cloned().unwrap_or_default(), &after);
    Difference { diff, bytes_to_send: Some(bytes_to_send(&after, &known)), ..difference }
}

/// Adds what is asked beyond closures.
async fn deepen(
    context: &Context,
    prepared: &Prepared,
    request: &EvalRequest,
    differences: &mut [Difference],
    depth: Depth,
) -> Result<()> {
    let host = &prepared.host;
    if depth.why {
        let wanted: Vec<&Wanted> = differences
            .iter()
            .filter(|d| !d.is_none())
            .filter_map(|d| prepared.inventory.vms.get(&d.vm))
            .collect();
        evaluated(context, request, &wanted).await?;
        let generation = |each: &Difference| -> Option<Numbered> {
            let found = prepared.observed.vms.get(&each.vm)?;
            let (number, path) =
                found.generations.iter().rfind(|(_, path)| Some(path) == each.from.as_ref())?;
            Some((each.vm.clone(), *number, path.clone()))
        };
        let numbered: Vec<Numbered> = differences.iter().filter_map(generation).collect();
        let mut library = open_for(host, &request.options, differences, &numbered).await?;
        for wanted in wanted {
            library.makers.insert(wanted.runner.clone(), vec![wanted.drv.clone()]);
        }
        explain(&library, differences).await?;
    }
    if depth.text {
        let there = prepared.there.runners();
        let closures = |path: &StorePath, old: bool| {
            let known = if old { &prepared.observed.closures } else { &prepared.closures };
            known.get(path)
        };
        compare(host, differences, closures, |runner| there.contains(runner)).await?;
    }
    Ok(())
}

/// Sees that the derivations of what is wanted are in the store here: what was evaluated
/// before may have been garbage-collected since.
async fn evaluated(context: &Context, request: &EvalRequest, wanted: &[&Wanted]) -> Result<()> {
    let gone: Vec<&&Wanted> = wanted.iter().filter(|w| derive::read_here(&w.drv).bytes == 0).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let words = gone.iter().map(|w| w.name.to_string()).collect();
    let afresh = EvalRequest { words, cache_dir: None, ..request.clone() };
    evaluate(&afresh, &context.events).await.map(drop)
}

async fn open_for<'a>(
    host: &'a Host,
    options: &'a [(String, String)],
    differences: &[Difference],
    numbered: &[Numbered],
) -> Result<Library<'a>> {
    let differing = differences.iter().filter(|d| !d.is_none());
    let runners: BTreeSet<StorePath> = differing.flat_map(|d| [&d.from, &d.to]).flatten().cloned().collect();
    Library::open(host, options, &runners, numbered).await
}

async fn explain(library: &Library<'_>, differences: &mut [Difference]) -> Result<()> {
    for each in differences {
        each.why = Some(match (&each.from, &each.to) {
            _ if each.is_none() => Why::default(),
            (Some(from), Some(to)) => library.explain(from, to).await?,
            _ => Why::unknown(NOTHING),
        });
    }
    Ok(())
}

const NOTHING: &str = "there is nothing yet that it could be compared with";

/// Reads the small text files of all closures: those on the hypervisor at once, and those
/// here. `closures` finds that of a runner, `is_there` says whether what is wanted is to
/// be read there.
async fn compare<'a>(
    host: &Host,
    differences: &mut [Difference],
    closures: impl Fn(&StorePath, bool) -> Option<&'a Closure>,
    is_there: impl Fn(&StorePath) -> bool,
) -> Result<()> {
    let (mut here, mut there) = (BTreeMap::new(), BTreeMap::new());
    let sized = |path: &StorePath, closure: &Closure| {
        (path.clone(), closure.paths.get(path).copied().unwrap_or_default())
    };
    let mut comparisons = BTreeMap::new();
    for each in differences.iter_mut() {
        each.files = Some(match (&each.from, &each.to) {
            _ if each.is_none() => Texts::default(),
            (Some(from), Some(to)) => match (closures(from, true), closures(to, false)) {
                (Some(before), Some(after)) => {
                    let comparison = texts::choose(before, after);
                    let side = if is_there(to) { &mut there } else { &mut here };
                    side.extend(comparison.pairs.iter().map(|(_, new)| sized(new, after)));
                    there.extend(comparison.pairs.iter().map(|(old, _)| sized(old, before)));
                    comparisons.insert(each.vm.clone(), comparison);
                    Texts::default()
                }
                (None, _) => Texts::unknown(format!("{from} is not in the hypervisor's store any more")),
                (_, None) => Texts::unknown(format!("{to} is not in the store")),
            },
            _ => Texts::unknown(NOTHING),
        });
    }
    let laptop = Host::local();
    let mut found = Vec::new();
    for (host, paths) in [(host, there), (&laptop, here)] {
        found.extend(derive::texts(host, &paths, texts::MOST_FILE).await?);
    }
    for each in differences.iter_mut() {
        if let Some(comparison) = comparisons.get(&each.vm) {
            each.files = Some(texts::compare(comparison, &found));
        }
    }
    Ok(())
}

/// Two generations of a VM. Ctrl-C is obeyed in here.
///
/// # Errors
/// 2 for a VM or a number that there is not, 12 when a closure was collected, 11 when the
/// hypervisor cannot be reached, 130 at Ctrl-C.
pub async fn between(
    context: &Context,
    target: &Target,
    vm: &VmName,
    numbers: (u64, u64),
    depth: Depth,
    options: &[(String, String)],
) -> Result<Difference> {
    let work = generations_of(context, target, vm, numbers, depth, options);
    context.unless_interrupted(Aftermath::Declined, work).await
}

async fn generations_of(
    context: &Context,
    target: &Target,
    vm: &VmName,
    (from, to): (u64, u64),
    depth: Depth,
    options: &[(String, String)],
) -> Result<Difference> {
    let looked = open(context, target).await?;
    let Some(found) = looked.observed.vms.get(vm) else {
        return Err(select::unknown(vm.as_str(), &looked.known()));
    };
    let ledger = &looked.observed.ledger;
    let (_, before) = generations::previous(vm, found, ledger, Some(from))?;
    let (_, after) = generations::previous(vm, found, ledger, Some(to))?;
    let closures: BTreeMap<StorePath, Closure> =
        observe::closures(&looked.host, &[before.clone(), after.clone()]).await?.into_iter().collect();
    let closure = |number: u64, path: &StorePath| {
        closures.get(path).ok_or_else(|| {
            let message = format!("generation {number} of {vm}, {path}, is not in the hypervisor's store");
            Failure::new(Aftermath::Refused, message)
        })
    };
    let diff = closure_diff(closure(from, &before)?, closure(to, &after)?);
    let numbered = [(vm.clone(), from, before.clone()), (vm.clone(), to, after.clone())];
    let mut all = [Difference { diff, ..Difference::between(vm.clone(), Some(before), after) }];
    if depth.why {
        let library = open_for(&looked.host, options, &all, &numbered).await?;
        explain(&library, &mut all).await?;
    }
    if depth.text {
        compare(&looked.host, &mut all, |path, _| closures.get(path), |_| true).await?;
    }
    looked.host.close().await;
    let [difference] = all;
    Ok(difference)
}
