//! start, stop, restart and retire: transactions on the hypervisor that change no
//! generation and undo nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Aim, recall, wishes};
use super::past::{Looked, open};
use super::push::{Manner, Site, without_copying};
use super::{Choices, Context, SettleOne, Target};
use crate::error::{Failure, Result};
use crate::model::event::Event;
use crate::model::name::{VmName, Word};
use crate::model::observed::{Found, Observed};
use crate::model::outcome::{Outcome, Word as Ended};
use crate::model::plan::{How, Move, Plan};
use crate::model::store_path::StorePath;
use crate::plan::decide::decide;
pub use crate::plan::power::Power;
use crate::plan::power::how;
use crate::plan::{generations, select, state};

/// What the user wants.
pub struct Errand<'a> {
    /// What to do.
    pub power: Power,
    /// Where.
    pub target: Target,
    /// Names, globs and tags as typed.
    pub typed: Vec<String>,
    /// Tags that are known without the flake.
    pub tags: BTreeMap<VmName, Vec<Word>>,
    /// What the settings at hand make of those that a generation was deployed with.
    pub settle: SettleOne<'a>,
}

/// An errand with nothing left to choose.
pub struct Ready {
    /// What will be done.
    pub plan: Plan,
    /// The open connection, and what was found.
    pub looked: Looked,
}

/// Finds out what is to be done.
///
/// # Errors
/// 2 for a VM that is not there, 11 when the hypervisor cannot be reached.
pub async fn prepare(context: &Context, errand: &Errand<'_>) -> Result<Ready> {
    let looked = open(context, &errand.target).await?;
    let installed: BTreeSet<VmName> = looked.observed.vms.keys().cloned().collect();
    let chosen = select::among(&errand.typed, &installed, &errand.tags)?;
    let looked = looked.in_turn(context, &chosen).await?;
    let aims = aims(chosen, &looked.observed)?;
    let recalled = recall(&looked.host, &aims).await?;
    let wishes = wishes(&aims, &recalled, &errand.settle)?;
    let name = &errand.target.name;
    let mut plan = decide(name, &wishes, &looked.observed, &BTreeMap::new(), Choices::default());
    // What a deployment would need is not needed here.
    plan.impossible.clear();
    for movement in &mut plan.moves {
        if let Some(found) = looked.observed.vms.get(&movement.vm) {
            settle(movement, errand.power, found, &looked);
        }
    }
    Ok(Ready { plan, looked })
}

/// What each of them boots. Who waited for others may find that it is gone by then.
fn aims(chosen: Vec<VmName>, observed: &Observed) -> Result<Vec<Aim>> {
    let aim = |vm: VmName| {
        let unknown = || select::unknown(vm.as_str(), &observed.vms.keys().cloned().collect());
        let found = observed.vms.get(&vm).ok_or_else(unknown)?;
        let path = boots(&vm, found)?;
        Ok(Aim { number: generations::number_of(found, &path).unwrap_or(0), vm, path })
    };
    chosen.into_iter().map(aim).collect()
}

/// What a start boots; for a stop, what runs.
fn boots(vm: &VmName, found: &Found) -> Result<StorePath> {
    found.staged().or_else(|| found.booted_path()).ok_or_else(|| {
        Failure::usage(format!("what {vm} has staged and booted are no store paths"))
            .help(format!("see /var/lib/microvms/{vm} on the hypervisor"))
    })
}

fn settle(movement: &mut Move, power: Power, found: &Found, looked: &Looked) {
    movement.how = how(power, &movement.vm, found, &looked.observed);
    movement.terms = None;
    movement.flake = None;
    movement.adopt.clear();
    movement.notes.clear();
    if !power.runs() {
        movement.checks.clear();
    }
}

/// Does it. Where something else is staged than runs, says that this is booted.
pub async fn carry_out(context: &Context, errand: &Errand<'_>, ready: &Ready) -> Vec<Outcome> {
    if errand.power.runs() {
        warn_of_others(context, ready);
    }
    let site = Site { host: &ready.looked.host, address: &errand.target.address, moved: None };
    let manner = Manner { keep_failed: true, at_once: 1, ..Manner::default() };
    let mut outcomes = without_copying(context, &site, &ready.plan, errand.power.verb(), &manner).await;
    for outcome in &mut outcomes {
        let movement = ready.plan.moves.iter().find(|m| m.vm == outcome.name);
        let answers = movement.is_some_and(|m| m.address.is_some() || !m.checks.is_empty());
        outcome.again = Some(format!("{} {}", errand.power.verb(), outcome.name));
        explain(outcome, errand.power, if answers { ", and it answers" } else { "" });
    }
    outcomes
}

/// Says where something else is booted than runs.
pub fn warn_of_others(context: &Context, ready: &Ready) {
    for movement in ready.plan.moves.iter().filter(|m| m.how == How::Restart) {
        let found = ready.looked.observed.vms.get(&movement.vm);
        let runs = found.filter(|f| f.is_running()).and_then(state::runs);
        if let Some(runs) = runs.filter(|path| *path != movement.to) {
            let message = format!(
                "{}: boots what is staged, {}, and not {runs}, which runs now",
                movement.vm, movement.to
            );
            context.events.send(Event::Warning { message });
        }
    }
}

pub(super) fn explain(outcome: &mut Outcome, power: Power, answers: &str) {
    let vm = &outcome.name;
    let said = match (outcome.result, power) {
        (Ended::Unchanged, Power::Start) => "it runs already".to_owned(),
        (Ended::Unchanged, _) => "it does not run".to_owned(),
        (Ended::Done, Power::Start) => format!("started{answers}"),
        (Ended::Done, Power::Stop) => "stopped".to_owned(),
        (Ended::Done, Power::Restart) => format!("restarted{answers}"),
        (Ended::Done, Power::Run) => "its unit is as it was before".to_owned(),
        (Ended::Done, Power::Retire) => {
            format!("unlinked; volumes, if it has any, are still in /var/lib/microvms/{vm}")
        }
        _ => return,
    };
    outcome.detail = Some(said);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_that_went_while_others_were_waited_for_is_not_left_out() {
        let path = "/nix/store/0123abcd0123abcd0123abcd0123abcd-microvm-qemu-vm2";
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<VmName>>();
        let mut observed = Observed::default();
        observed.vms.insert("vm2".parse().unwrap(), Found::example("active", path.to_owned()));
        let Ok(there) = aims(names(&["vm2"]), &observed) else { panic!("vm2 is there") };
        assert_eq!(there[0].path.as_str(), path);
        let Err(failure) = aims(names(&["vm1", "vm2"]), &observed) else { panic!("vm1 is not there") };
        assert_eq!(failure.aftermath, crate::error::Aftermath::Usage);
        assert_eq!(failure.message, r#"the hypervisor knows no microVM "vm1""#);
        assert!(failure.help.unwrap().contains("deployvm push vm1"));
    }
}
