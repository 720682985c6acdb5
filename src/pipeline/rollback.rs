//! Going back to earlier generations: a plan from what the hypervisor itself knows, for
//! the same transaction as any other. Nothing is evaluated, and no Nix is needed here.

use std::collections::{BTreeMap, BTreeSet};

use super::past::{Looked, open};
use super::{Choices, Context, Target};
use crate::error::Result;
use crate::host::clock;
use crate::model::closure::Closure;
use crate::model::inventory::{Interface, Wanted};
use crate::model::name::{VmName, Word};
use crate::model::observed::{Found, Observed};
use crate::model::plan::{How, Move, Plan};
use crate::model::settings::VmSettings;
use crate::model::store_path::StorePath;
use crate::plan::decide::{Wish, decide};
use crate::plan::{checks, generations, order, select};
use crate::stage::ledger;
use crate::stage::observe;
use crate::stage::recall::{Recalled, recall};

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
    pub settle: Box<dyn Fn(&VmName, &VmSettings) -> Result<VmSettings> + 'a>,
}

/// A plan to go back.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// The open connection, and what was found.
    pub looked: Looked,
}

/// A generation to go back to.
struct Aim {
    vm: VmName,
    number: u64,
    path: StorePath,
}

/// Makes the plan.
///
/// # Errors
/// 2 for a VM or number that there is not, 12 when there is nothing to go back to, 11
/// when the hypervisor cannot be reached.
pub async fn prepare(context: &Context, wanted: &Return<'_>) -> Result<Prepared> {
    let mut looked = open(context, &wanted.target).await?;
    let chosen = select::among(&wanted.typed, &looked.known(), &wanted.tags)?;
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
    let asked: Vec<(VmName, u64, StorePath)> =
        aims.iter().map(|aim| (aim.vm.clone(), aim.number, aim.path.clone())).collect();
    let recalled: BTreeMap<VmName, Recalled> = {
        let recalled = recall(&looked.host, &asked).await?;
        aims.iter().map(|aim| aim.vm.clone()).zip(recalled).collect()
    };
    let wishes = wishes(&aims, &recalled, wanted)?;
    let closures = closures(&mut looked, &aims).await?;
    let mut plan = decide(&wanted.target.name, &wishes, &looked.observed, &closures, Choices::default());
    for movement in &mut plan.moves {
        if let (Some(aim), Some(recalled)) =
            (aims.iter().find(|aim| aim.vm == movement.vm), recalled.get(&movement.vm))
        {
            explain(movement, aim, recalled, &looked.observed);
        }
    }
    Ok(Prepared { plan, looked })
}

/// What is wanted, in rollout order.
fn wishes(aims: &[Aim], recalled: &BTreeMap<VmName, Recalled>, wanted: &Return<'_>) -> Result<Vec<Wish>> {
    let mut wishes = BTreeMap::new();
    let mut after = BTreeMap::new();
    for aim in aims {
        let recalled = recalled.get(&aim.vm).cloned().unwrap_or_default();
        let (vm, own) = match &recalled.terms {
            Some(terms) => (terms.wanted.clone(), terms.settings.clone()),
            None => (guess(aim, &recalled), recalled.newest.map(guessed_settings).unwrap_or_default()),
        };
        let settings = (wanted.settle)(&aim.vm, &own)?;
        let before = settings.after.clone().unwrap_or_default();
        after.insert(
            aim.vm.clone(),
            before.into_iter().filter(|vm| aims.iter().any(|a| a.vm == *vm)).collect(),
        );
        let checks = checks::checks(&vm, &settings)?;
        let runner = aim.path.clone();
        wishes.insert(
            aim.vm.clone(),
            Wish { vm: aim.vm.clone(), runner, wanted: Some(vm), settings, checks, flake: None },
        );
    }
    let names: Vec<String> = aims.iter().map(|aim| aim.vm.to_string()).collect();
    let ordered = order::order(&after, &names)?;
    Ok(ordered.into_iter().filter_map(|vm| wishes.remove(&vm)).collect())
}

/// What can be said of a generation that was not deployed by deployvm: its taps, and
/// the address that the VM has now.
fn guess(aim: &Aim, recalled: &Recalled) -> Wanted {
    let newest = recalled.newest.as_ref().map(|terms| &terms.wanted);
    let tap = |id: &String| Interface { kind: "tap".to_owned(), id: id.clone(), mac: None, bridge: None };
    Wanted {
        name: aim.vm.clone(),
        // Nothing is ever built of it.
        drv: aim.path.clone(),
        runner: aim.path.clone(),
        toplevel: None,
        system: String::new(),
        hypervisor: None,
        mem: None,
        vcpu: None,
        interfaces: recalled.taps.iter().map(tap).collect(),
        addresses: newest.map(|wanted| wanted.addresses.clone()).unwrap_or_default(),
        cid: newest.and_then(|wanted| wanted.cid),
        volumes: Vec::new(),
        // Nobody knows whether that generation had one.
        sshd: false,
        settings: None,
    }
}

/// Checks that were declared for a later generation say nothing about an earlier one.
fn guessed_settings(terms: crate::model::terms::Terms) -> VmSettings {
    VmSettings { checks: None, ..terms.settings }
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
    let revision = made.and_then(|entry| entry.revision.as_deref()).and_then(|hash| hash.get(..9));
    let of = revision.map(|hash| format!(" of {hash}")).unwrap_or_default();
    let since = observed.vms.get(&aim.vm).and_then(|found| made_at(found, aim.number));
    let since = since.map(|time| format!(", made {time}")).unwrap_or_default();
    movement.notes.insert(0, format!("this is generation {}{of}{since}", aim.number));
    if recalled.terms.is_none() {
        // A guess is not written down as if it were known.
        movement.terms = None;
        if movement.changes() {
            let known =
                if movement.checks.is_empty() { "its taps alone are" } else { "its taps and address are" };
            movement.notes.push(format!("deployvm did not deploy it, so {known} checked"));
        }
    }
    if !recalled.valid && !matches!(movement.how, How::Refuse(_)) {
        movement.how = How::Refuse(format!(
            "generation {} was collected: {} is not in the hypervisor's store any more",
            aim.number, aim.path
        ));
    }
}

fn made_at(found: &Found, number: u64) -> Option<String> {
    let index = found.generations.iter().position(|(n, _)| *n == number)?;
    found.generation_times.get(index).copied().map(clock::rfc3339)
}
