//! In which state a microVM is, from what the flake wants and what was found. Runners
//! are compared, never toplevels: memory and taps are in the runner alone, and a VM
//! need not have `share/microvm/system`.

use super::generations;
use crate::error::last_lines;
use crate::model::name::VmName;
use crate::model::observed::{Found, Observed, Unit};
use crate::model::status::{Runners, State, Status, UnitStatus};
use crate::model::store_path::StorePath;

/// What the flake says about a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired<'a> {
    /// It was not asked.
    Unasked,
    /// It does not have this VM.
    Nothing,
    /// It has it, but throws, and this is what Nix said.
    Broken(&'a str),
    /// It wants this runner.
    Runner(&'a StorePath),
}

/// The first state of interface.md that matches.
pub fn state(desired: Desired<'_>, found: Option<&Found>) -> State {
    let Some(found) = found else { return State::Absent };
    if desired == Desired::Nothing {
        return State::Orphan;
    }
    if failed(&found.unit) {
        return State::Failed;
    }
    if matches!(found.unit.active.as_str(), "" | "inactive" | "deactivating") {
        return State::Stopped;
    }
    let (staged, runs) = (found.staged(), runs(found));
    if let Desired::Runner(wanted) = desired
        && staged.as_ref() != Some(wanted)
        && runs.as_ref() != Some(wanted)
    {
        return State::Outdated;
    }
    // What cannot be told is never a failure, and no difference either.
    if runs.is_some() && staged != runs { State::Stale } else { State::Current }
}

/// In a crash loop, or given up. A unit that systemd starts for the first time is neither.
fn failed(unit: &Unit) -> bool {
    unit.active == "failed"
        || unit.sub.starts_with("auto-restart")
        || (unit.active == "activating" && unit.restarts > 0)
}

/// What really runs, or else what was booted.
pub fn runs(found: &Found) -> Option<StorePath> {
    found.running.clone().or_else(|| found.booted_path())
}

/// One row of `status`.
pub fn status(name: &VmName, hypervisor: &str, desired: Desired<'_>, observed: &Observed) -> Status {
    let found = observed.vms.get(name);
    let mut status = Status::new(name.clone(), hypervisor, state(desired, found));
    if let Desired::Runner(wanted) = desired {
        status.runner.desired = Some(wanted.clone());
    }
    if let Desired::Broken(error) = desired {
        let said = last_lines(error, 3).join(" ");
        status.notes.push(format!("what the flake wants is not known, it does not evaluate: {said}"));
    }
    if let Some(found) = found {
        fill(&mut status, found, observed);
    }
    for open in observed.open.iter().filter(|open| open.vm == name.as_str()) {
        status.notes.push(match open.alive {
            true => format!("the switch {} is under way", open.id),
            false => format!("the switch {} was interrupted and is not closed yet", open.id),
        });
    }
    status
}

fn fill(status: &mut Status, found: &Found, observed: &Observed) {
    let staged = found.staged();
    status.runner = Runners {
        desired: status.runner.desired.take(),
        staged: staged.clone(),
        booted: found.booted_path(),
        running: found.running.clone(),
    };
    status.unit = UnitStatus {
        active: Some(found.unit.active.clone()).filter(|word| !word.is_empty()),
        sub: Some(found.unit.sub.clone()).filter(|word| !word.is_empty()),
        main_pid: found.unit.main_pid,
        restarts: Some(found.unit.restarts),
        age: found.unit.age,
    };
    status.mode = Some(found.mode);
    status.autostart = Some(found.autostart);
    let shown = runs(found).filter(|_| found.is_running()).or(staged);
    if let Some(path) = shown
        && let Some(number) = generations::number_of(found, &path)
    {
        let made = generations::made_by(&status.name, number, &path, &observed.ledger);
        status.generation = Some(number);
        status.revision = made.and_then(|entry| entry.revision.clone());
        status.dirty = made.and_then(|entry| entry.dirty);
        if !generations::verified(&status.name, number, &path, &observed.ledger) {
            status.notes.push(format!("generation {number} is unverified: it never passed its checks"));
        }
    }
    let notes = &mut status.notes;
    match &found.current {
        None => notes.push("nothing is staged: it cannot start again".to_owned()),
        Some(text) if !found.current_valid => {
            notes.push(format!("{text}, which is staged, is not in the store: it cannot start again"));
        }
        Some(_) => {}
    }
    if found.booted.is_some() && !found.booted_valid && found.is_running() {
        notes.push("what it booted is not in the store any more: nothing can go back to it".to_owned());
    }
    let switched = observed.open.iter().any(|open| open.alive && open.vm == status.name.as_str());
    if let Some(holder) = found.locked.as_deref().filter(|_| !switched) {
        notes.push(format!("locked by {}", if holder.is_empty() { "somebody" } else { holder }));
    }
    if !found.autostart && status.state != State::Orphan {
        notes.push("the hypervisor does not start it at boot".to_owned());
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
