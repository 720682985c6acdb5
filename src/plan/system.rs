//! The plan for the hypervisor's own system: whether it changes, what that does to each
//! microVM (contract 3.5), and what only a reboot would change.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::{deployed_with, excusable, impossible};
use super::diff::{bytes_to_send, closure_diff};
use crate::error::{Aftermath, Failure, Result};
use crate::model::check::Check;
use crate::model::closure::Closure;
use crate::model::name::{HOST, VmName};
use crate::model::observed::{Found, Mode, Observed};
use crate::model::plan::{How, Move, Plan};
use crate::model::settings::{Deadlines, Guest};
use crate::model::store_path::StorePath;
use crate::model::system::{
    Boot, Declared, Does, Effect, FoundGeneration, FoundSystem, SystemSwitch, WantedSystem,
};

/// Seconds for one run of `switch-to-configuration`: it stops VMs, each of which may take
/// its stop timeout of minutes.
const SWITCH: u32 = 600;

/// The system that shall run.
#[derive(Debug, Clone)]
pub struct Aim {
    /// It.
    pub to: StorePath,
    /// What it boots, as far as that is known.
    pub boot: Boot,
    /// What it does to VMs; `None` where nobody can tell, as for one of earlier.
    pub effects: Option<Vec<Effect>>,
    /// Checks of the VMs that it touches.
    pub checks: Vec<Check>,
    /// Deadlines.
    pub deadlines: Deadlines,
    /// What to say first.
    pub note: Option<String>,
}

/// Marks the checks of a VM that the switch touches which may be excused. One that does not
/// run before has no excuse.
pub fn with_excuses(checks: Vec<Check>, effect: &Effect, observed: &Observed) -> Vec<Check> {
    let found = observed.vms.get(&effect.vm).filter(|found| found.is_running());
    if found.is_none() {
        return checks;
    }
    // Not new is also what an earlier switch of the hypervisor was tried with.
    let hosts = observed.ledger.iter().filter(|e| e.vm == HOST && e.result.as_deref() == Some("deployed"));
    let hosts = hosts.flat_map(|e| &e.checks).filter_map(|check| check.definition.as_deref());
    let known: Vec<&str> = hosts.chain(deployed_with(observed, &effect.vm, found)).collect();
    excusable(checks, &known)
}

/// Makes the plan. `closures` has those of both systems, as far as they are known.
pub fn decide(
    hypervisor: &str,
    aim: Aim,
    found: &FoundSystem,
    observed: &Observed,
    closures: &BTreeMap<StorePath, Closure>,
) -> Plan {
    let Aim { to, boot, effects, checks, deadlines, note } = aim;
    let from = found.running();
    let mut notes: Vec<String> = note.into_iter().collect();
    let how = how(&to, found, observed, &mut notes);
    notes.extend(reboot(&boot, &found.boot));
    let starts = effects.iter().flatten().filter(|effect| must_start(effect, observed));
    let starts = starts.map(|effect| effect.vm.clone()).collect();
    let mut movement = Move {
        vm: VmName::host(),
        how,
        from: from.clone(),
        current: Some(found.current.clone()),
        to,
        diff: None,
        bytes_to_send: None,
        checks,
        address: None,
        taps: Vec::new(),
        routed: Vec::new(),
        guest: Guest::default(),
        vsock: None,
        running: false,
        deadlines,
        adopt: Vec::new(),
        notes,
        flake: None,
        made_of: None,
        terms: None,
        system: Some(SystemSwitch { starts, seconds: SWITCH }),
    };
    if let Some(after) = closures.get(&movement.to).filter(|_| movement.changes()) {
        let before = from.and_then(|path| closures.get(&path));
        movement.diff = before.map(|before| closure_diff(before, after));
        let there: Vec<&Closure> = before.into_iter().chain(observed.closures.values()).collect();
        movement.bytes_to_send = Some(bytes_to_send(after, &there));
    }
    let effects = effects.filter(|_| movement.changes());
    let mut plan = Plan {
        hypervisor: hypervisor.to_owned(),
        moves: vec![movement],
        effects: Some(effects.unwrap_or_default()),
        ..Plan::default()
    };
    plan.impossible = impossible(&plan, &[], observed);
    plan
}

fn how(to: &StorePath, found: &FoundSystem, observed: &Observed, notes: &mut Vec<String>) -> How {
    let default = found.generations.iter().find(|g| Some(g.number) == found.default).map(|g| &g.path);
    let runs = found.running().as_ref() == Some(to);
    if runs && default == Some(to) {
        return How::Keep;
    }
    if let Some(open) = observed.open.iter().find(|open| open.alive && open.vm == HOST) {
        return How::Refuse(format!("the switch {} is still under way", open.id));
    }
    if let Some((vm, holder)) = busy(observed) {
        return How::Refuse(format!("{vm} is locked by {holder}"));
    }
    if runs {
        notes.push(
            "it runs this already, but the next boot would start another: that is put right".to_owned(),
        );
    } else if default.is_some_and(|default| found.running().as_ref() != Some(default)) {
        notes.push(
            "what runs now is not what the next boot would start: an undo goes back to what runs, and leaves \
             the next boot as it is"
                .to_owned(),
        );
    }
    How::Switch
}

/// A VM that somebody works on, and who.
fn busy(observed: &Observed) -> Option<(&VmName, &str)> {
    observed.vms.iter().find_map(|(vm, found)| {
        let holder = found.locked.as_deref()?;
        Some((vm, if holder.is_empty() { "somebody" } else { holder }))
    })
}

/// Whether a switch that this VM does not survive is a bad one: it is the hypervisor's own,
/// and nobody knows yet that it does not run.
fn must_start(effect: &Effect, observed: &Observed) -> bool {
    let failing = |found: &Found| matches!(found.unit.active.as_str(), "failed" | "activating");
    effect.does == Does::Starts && effect.to.is_some() && !observed.vms.get(&effect.vm).is_some_and(failing)
}

/// What only a reboot would change, where both sides are known.
pub fn reboot(to: &Boot, booted: &Boot) -> Option<String> {
    fn differs<T: PartialEq>(to: &Option<T>, booted: &Option<T>) -> bool {
        matches!((to, booted), (Some(to), Some(booted)) if to != booted)
    }
    let parts = [
        (differs(&to.kernel, &booted.kernel), "the kernel"),
        (differs(&to.modules, &booted.modules), "its modules"),
        (differs(&to.params, &booted.params), "its parameters"),
        (differs(&to.initrd, &booted.initrd), "the initrd"),
    ];
    let parts: Vec<&str> = parts.iter().filter(|(differs, _)| *differs).map(|(_, part)| *part).collect();
    let (last, others) = parts.split_last()?;
    let all =
        if others.is_empty() { (*last).to_owned() } else { format!("{} and {last}", others.join(", ")) };
    Some(format!("a reboot is needed for {all} to change; that is left to you"))
}

/// What the switch does to each VM that is there or declared.
pub fn effects(wish: &WantedSystem, found: &FoundSystem, observed: &Observed) -> Vec<Effect> {
    let names: BTreeSet<&VmName> = wish.vms.keys().chain(observed.vms.keys()).collect();
    let effect = |vm: &VmName| {
        let (declared, here) = (wish.vms.get(vm), observed.vms.get(vm));
        let autostart = wish.autostart.contains(vm);
        let running = here.filter(|here| here.is_running());
        let from = here.and_then(|here| here.booted_path().filter(|_| running.is_some()).or(here.staged()));
        let mut notes = Vec::new();
        let (does, to) = match (declared, here) {
            (Some(declared), Some(here)) if declared.owned => {
                owned(declared, here, found.toplevels.get(vm), autostart, &mut notes)
            }
            (Some(declared), None) => {
                let to = declared.wanted.as_ref().map(|wanted| wanted.runner.clone());
                (if autostart { Does::Starts } else { Does::Installs }, to)
            }
            (_, Some(here)) => {
                if declared.is_none() && here.mode == Mode::HostOwned {
                    notes.push("the hypervisor does not declare it any more: it stays as it is".to_owned());
                }
                (if autostart && running.is_none() { Does::Starts } else { Does::Nothing }, None)
            }
            (None, None) => (Does::Nothing, None),
        };
        Effect { vm: vm.clone(), does, from, to, notes }
    };
    names.into_iter().map(effect).collect()
}

/// One whose `current` the hypervisor writes at every switch.
fn owned(
    declared: &Declared,
    here: &Found,
    installed: Option<&StorePath>,
    autostart: bool,
    notes: &mut Vec<String>,
) -> (Does, Option<StorePath>) {
    let to = declared.wanted.as_ref().map(|wanted| wanted.runner.clone());
    let writes = to.as_ref().is_some_and(|to| here.current.as_deref() != Some(to.as_str()));
    if writes
        && let Some((number, _)) = here.generations.iter().find(|(_, p)| Some(p) == here.staged().as_ref())
    {
        notes.push(format!(
            "generation {number}, which is staged, is not the hypervisor's own: it puts its runner in its place"
        ));
    }
    let to = to.filter(|_| writes || !here.is_running());
    if here.is_running() {
        // systemd restarts it where the trigger of its unit changes, which is the toplevel.
        let toplevel = declared.wanted.as_ref().and_then(|wanted| wanted.toplevel.as_ref());
        if declared.restart_if_changed && toplevel.is_some() && toplevel != installed {
            return (Does::Restarts, to);
        }
        if writes {
            notes
                .push("it goes on with what it runs; its next start, or crash, boots the new one".to_owned());
            return (Does::Stages, to);
        }
        return (Does::Nothing, None);
    }
    if autostart {
        (Does::Starts, to)
    } else if writes {
        (Does::Stages, to)
    } else {
        (Does::Nothing, None)
    }
}

/// The generation to go back to: that of this number, or the highest below what runs.
///
/// # Errors
/// 2 for a number that there is not, 12 when there is none before.
pub fn previous(found: &FoundSystem, to: Option<u64>) -> Result<&FoundGeneration> {
    let numbers = || found.generations.iter().map(|g| g.number.to_string()).collect::<Vec<_>>().join(", ");
    if let Some(to) = to {
        return found.generations.iter().find(|g| g.number == to).ok_or_else(|| {
            Failure::usage(format!("the hypervisor's system has no generation {to}"))
                .help(format!("it has {}", numbers()))
        });
    }
    let running = found.running();
    let runs = found.generations.iter().filter(|g| Some(&g.path) == running.as_ref()).map(|g| g.number);
    let now = runs.max().or(found.default).unwrap_or(u64::MAX);
    let before = found.generations.iter().filter(|g| g.number < now && Some(&g.path) != running.as_ref());
    before.max_by_key(|g| g.number).ok_or_else(|| {
        Failure::new(Aftermath::Refused, "there is no generation of the hypervisor's system before what runs")
            .help("see what there is: deployvm host generations")
    })
}

/// Why a switch was undone, in words; nothing where its own word says as much.
pub fn why(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "switch-failed" => "switch-to-configuration failed",
        "switch-incomplete" => "switch-to-configuration said that all is well, and the system is not there",
        "vm-down" => "a microVM that must run did not, or not for long",
        "no-verdict" => "this machine could not come back over a fresh connection in time",
        "commit-failed" => "what the next boot starts could not be written",
        "switched-by-others" => "somebody else has switched meanwhile",
        "transaction-killed" | "transaction-stopped" => "the program that switched was killed",
        _ => return None,
    })
}

/// What became of the VMs, against what was said before: a sentence for each surprise, and
/// for each that was meant.
pub fn changes(before: &Observed, after: &Observed, effects: &[Effect]) -> Vec<String> {
    let planned = |vm: &VmName| effects.iter().find(|effect| effect.vm == *vm).map(|effect| effect.does);
    let names: BTreeSet<&VmName> = before.vms.keys().chain(after.vms.keys()).collect();
    let change = |vm: &VmName| {
        let (old, new) = (before.vms.get(vm), after.vms.get(vm));
        let pid = |found: Option<&Found>| found.filter(|f| f.is_running()).and_then(|f| f.unit.main_pid);
        let unplanned = |does| if planned(vm) == Some(does) { "" } else { ", which was not planned" };
        match (pid(old), pid(new)) {
            (Some(_), None) => Some(format!("{vm} does not run any more")),
            (None, Some(_)) => Some(format!("{vm} was started{}", unplanned(Does::Starts))),
            (Some(old), Some(new)) if old != new => {
                Some(format!("{vm} was restarted{}", unplanned(Does::Restarts)))
            }
            _ if old.map(|f| &f.current) != new.map(|f| &f.current) => match new {
                Some(_) => Some(format!("{vm} has another runner staged")),
                None => Some(format!("{vm} is gone")),
            },
            _ => None,
        }
    };
    names.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests;
