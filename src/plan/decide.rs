//! From what is wanted and what was found to a plan that leaves nothing to choose.

use std::collections::BTreeMap;

use super::checks::guest_address;
use super::diff::{bytes_to_send, closure_diff};
use crate::model::check::Check;
use crate::model::closure::Closure;
use crate::model::inventory::Wanted;
use crate::model::name::VmName;
use crate::model::observed::{Found, Mode, Observed};
use crate::model::plan::{How, Move, Plan, Vsock};
use crate::model::settings::{Via, VmSettings};
use crate::model::store_path::StorePath;
use crate::model::terms::Terms;

/// One VM as wanted, with everything that was settled about it.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The VM.
    pub vm: VmName,
    /// The runner that it shall run.
    pub runner: StorePath,
    /// What the flake says of it; `None` for a rollback, which evaluates nothing.
    pub wanted: Option<Wanted>,
    /// Its settings.
    pub settings: VmSettings,
    /// Its checks.
    pub checks: Vec<Check>,
    /// What a new VM's `flake` file shall say.
    pub flake: Option<String>,
    /// Why it is behind what the VM has, and refused.
    pub behind: Option<String>,
}

/// What the user chose on the command line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choices {
    /// Flip without restarting.
    pub no_restart: bool,
    /// Also start VMs that are stopped.
    pub start: bool,
}

/// Makes the plan. `wishes` are in rollout order; `closures` has those of the wanted
/// runners, as far as they are known.
pub fn decide(
    hypervisor: &str,
    wishes: &[Wish],
    observed: &Observed,
    closures: &BTreeMap<StorePath, Closure>,
    choices: Choices,
) -> Plan {
    let there: Vec<&Closure> = observed.closures.values().collect();
    let moves: Vec<Move> = wishes
        .iter()
        .map(|wish| {
            let mut movement = decide_one(wish, observed, choices);
            let after = closures.get(&movement.to);
            if let Some(after) = after.filter(|_| movement.changes()) {
                let before =
                    movement.from.as_ref().and_then(|p| observed.closures.get(p).or(closures.get(p)));
                movement.diff = before.map(|before| closure_diff(before, after));
                movement.bytes_to_send = Some(bytes_to_send(after, &there));
            }
            movement
        })
        .collect();
    let mut plan = Plan { hypervisor: hypervisor.to_owned(), moves, ..Plan::default() };
    plan.impossible = impossible(&plan, wishes, observed);
    plan
}

/// What cannot be: not enough memory, room or bridges there. Nothing is touched then.
pub(super) fn impossible(plan: &Plan, wishes: &[Wish], observed: &Observed) -> Vec<String> {
    const MIB: u64 = 1 << 20;
    let mut reasons = Vec::new();
    let facts = &observed.host;
    let moves = || plan.moves.iter().filter(|m| m.changes());
    let bytes = moves().filter_map(|m| m.bytes_to_send).fold(0, u64::saturating_add);
    // Nix itself needs a little room beside the paths.
    if bytes > 0 && bytes.saturating_add(64 * MIB) > facts.store_free {
        let (need, free) = (bytes.div_ceil(MIB) + 64, facts.store_free / MIB);
        reasons.push(format!("the store on {} has {free} MiB free, and {need} MiB are needed", facts.name));
    }
    if moves().next().is_some() && facts.state_free < 16 * MIB {
        let free = facts.state_free / MIB;
        reasons.push(format!("/var/lib on {} has {free} MiB free, and 16 MiB are needed", facts.name));
    }
    let growth = moves().map(|m| growth(m, wishes, observed)).fold(0, u64::saturating_add);
    let available = facts.memory_available_kib / 1024;
    if growth > available {
        reasons.push(format!(
            "{} has {available} MiB of memory available, and the VMs need {growth} MiB more",
            facts.name
        ));
    }
    let new_tap = moves()
        .flat_map(|m| m.taps.iter().map(move |t| (m, t)))
        .find(|(_, t)| !facts.devices.contains_key(*t));
    if let Some((movement, tap)) = new_tap.filter(|_| facts.bridges.is_empty()) {
        reasons.push(format!("{} has no bridge for the new tap {tap} of {}", facts.name, movement.vm));
    }
    reasons
}

/// MiB that a move needs beyond what its VM has now.
fn growth(movement: &Move, wishes: &[Wish], observed: &Observed) -> u64 {
    if !matches!(movement.how, How::Restart | How::Install) {
        return 0;
    }
    let wanted = wishes.iter().find(|w| w.vm == movement.vm).and_then(|w| w.wanted.as_ref());
    let needs = wanted.and_then(|w| w.mem).unwrap_or(0);
    let has = observed.vms.get(&movement.vm).and_then(|f| f.mem).unwrap_or(0);
    needs.saturating_sub(has)
}

fn decide_one(wish: &Wish, observed: &Observed, choices: Choices) -> Move {
    let found = observed.vms.get(&wish.vm);
    let mut notes = Vec::new();
    let how = match found {
        None if observed.linked.contains(&wish.vm) => How::Refuse(
            "its directory on the hypervisor is a link to elsewhere, and deployvm follows none".to_owned(),
        ),
        None => {
            if !observed.autostart.contains(&wish.vm) {
                notes.push(format!(
                    "the hypervisor will not start it at boot: for that, add {:?} to microvm.autostart in its configuration",
                    wish.vm.as_str()
                ));
            }
            How::Install
        }
        Some(found) => match refusal(wish, found, observed) {
            Some(reason) => How::Refuse(reason),
            None => {
                let how = change(&wish.runner, found, choices, &mut notes);
                if how != How::Keep && !found.autostart {
                    notes.push("the hypervisor does not start it at boot".to_owned());
                }
                how
            }
        },
    };
    let running = found.filter(|f| f.is_running());
    let from = found.and_then(|f| f.booted_path().filter(|_| f.is_running()).or_else(|| f.staged()));
    let guest = wish.settings.guest.clone().unwrap_or_default();
    let cid = wish.wanted.as_ref().and_then(|w| w.cid).filter(|_| guest.via == Some(Via::Vsock));
    let (taps, routed) = taps(wish, running, observed);
    Move {
        vm: wish.vm.clone(),
        how,
        from,
        current: found.and_then(|f| f.current.clone()),
        to: wish.runner.clone(),
        diff: None,
        bytes_to_send: None,
        checks: excusable(wish.checks.clone(), &deployed_with(observed, &wish.vm, running)),
        address: guest_address(wish.wanted.as_ref(), &wish.settings),
        taps: taps.clone(),
        routed,
        guest,
        vsock: cid.map(|cid| Vsock { cid, socat: None }),
        running: running.is_some(),
        deadlines: wish.settings.deadlines(),
        adopt: adoptable(wish, found),
        notes,
        flake: wish.flake.clone(),
        made_of: None,
        terms: wish.wanted.as_ref().map(|wanted| Terms::new(wanted, &wish.settings, &taps)),
        system: None,
    }
}

fn refusal(wish: &Wish, found: &Found, observed: &Observed) -> Option<String> {
    let vm = &wish.vm;
    if found.mode == Mode::HostOwned {
        return Some(format!(
            "the hypervisor's own configuration owns it and would put its runner back at the next boot or switch: \
             deploy it with the hypervisor, by `deployvm host push`, or take microvm.vms.{vm} out of its configuration"
        ));
    }
    if let Some(holder) = &found.locked {
        let holder = if holder.is_empty() { "somebody" } else { holder };
        return Some(format!("it is locked by {holder}"));
    }
    if let Some(open) = observed.open.iter().find(|t| t.concerns(vm)) {
        return Some(format!("the switch {} is still under way", open.id));
    }
    wish.behind.clone()
}

/// Restart happens exactly when what is booted differs from what is wanted.
fn change(to: &StorePath, found: &Found, choices: Choices, notes: &mut Vec<String>) -> How {
    let staged = found.current.as_deref() == Some(to.as_str());
    let booted = found.booted.as_deref() == Some(to.as_str());
    let other_runs = found.running.as_ref().is_some_and(|r| r != to);
    if found.is_running() {
        if booted && !other_runs {
            if staged {
                return How::Keep;
            }
            notes.push("it runs this already: only the staged link is put right".to_owned());
            return How::Stage;
        }
        if choices.no_restart {
            notes.push("the next start, or crash, of this VM boots this generation".to_owned());
            return if staged { How::Keep } else { How::Stage };
        }
        if staged {
            notes.push("it was staged before, and is started now".to_owned());
        }
        return How::Restart;
    }
    // It wants to run but does not: a crash loop, or given up.
    let broken = matches!(found.unit.active.as_str(), "activating" | "failed");
    if choices.start || (broken && !staged && !choices.no_restart) {
        return How::Restart;
    }
    if staged {
        notes.push(
            if broken { "it does not stay up, with this very runner" } else { "it is stopped, and stays so" }
                .to_owned(),
        );
        return How::Keep;
    }
    notes.push("it is stopped, and stays so: its next start boots this generation".to_owned());
    How::Stage
}

/// Marks declared checks that may be excused: those that what runs was deployed with, by
/// the same definition.
pub fn excusable(mut checks: Vec<Check>, known: &[&str]) -> Vec<Check> {
    for check in &mut checks {
        check.excusable = !check.derived && !check.strict && known.contains(&check.definition().as_str());
    }
    checks
}

/// Definitions of the checks that a VM's running generation was deployed with.
pub fn deployed_with<'a>(observed: &'a Observed, vm: &VmName, running: Option<&Found>) -> Vec<&'a str> {
    let Some(runner) = running.and_then(Found::booted_path) else { return Vec::new() };
    let mine = observed.ledger.iter().rev().filter(|e| e.vm == vm.as_str());
    mine.filter(|e| e.to.as_deref() == Some(runner.as_str()))
        .find(|e| matches!(e.result.as_deref(), Some("deployed" | "staged")))
        .map(|e| e.checks.iter().filter_map(|c| c.definition.as_deref()).collect())
        .unwrap_or_default()
}

/// Taps to watch: those that must be in a bridge, and those that work without today.
fn taps(wish: &Wish, running: Option<&Found>, observed: &Observed) -> (Vec<String>, Vec<String>) {
    let bridged = |tap: &&str| running.is_none() || observed.host.devices.get(*tap) != Some(&None);
    let taps = wish.wanted.iter().flat_map(Wanted::taps);
    let (bridged, routed): (Vec<&str>, Vec<&str>) = taps.partition(bridged);
    let owned = |taps: Vec<&str>| taps.into_iter().map(str::to_owned).collect();
    (owned(bridged), owned(routed))
}

/// What has no number yet and gets one first: booted, then staged.
fn adoptable(wish: &Wish, found: Option<&Found>) -> Vec<(String, StorePath)> {
    let Some(found) = found else { return Vec::new() };
    let numbered = |path: &StorePath| found.generations.iter().any(|(_, p)| p == path);
    let booted = found.booted_path().filter(|_| found.booted_valid);
    let staged = found.staged().filter(|_| found.current_valid);
    let mut adopt: Vec<(String, StorePath)> = Vec::new();
    for (what, path) in [("booted", booted), ("current", staged)] {
        let Some(path) = path.filter(|p| !numbered(p) && *p != wish.runner) else { continue };
        if !adopt.iter().any(|(_, p)| *p == path) {
            adopt.push((what.to_owned(), path));
        }
    }
    adopt
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
