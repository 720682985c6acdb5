//! What a person must do where deployvm is at its end (exit 40): what is there now, and
//! the steps from there, in order. Pure words; whoever looked hands in what was found.

use crate::model::observed::Found;
use crate::model::outcome::Outcome;
use crate::model::store_path::StorePath;

/// What the VM has now, in one sentence.
pub fn state(found: Option<&Found>) -> String {
    let Some(found) = found else { return "it is not installed".to_owned() };
    let short = |path: &StorePath| path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    let staged = match (found.staged(), found.current_valid) {
        (Some(path), true) => format!("{} is staged", short(&path)),
        (Some(path), false) => format!("{} is staged, but not in the store", short(&path)),
        (None, _) => "nothing is staged".to_owned(),
    };
    let unit = format!("its unit is {} ({})", found.unit.active, found.unit.sub);
    match found.running.as_ref().filter(|_| found.is_running()) {
        Some(path) => format!("{} runs, {staged}; {unit}", short(path)),
        None if found.is_running() => format!("something runs, {staged}; {unit}"),
        None => format!("nothing runs, {staged}; {unit}"),
    }
}

/// The steps. `by_hand` makes of a command what a user types to run it on the hypervisor.
pub fn steps(outcome: &Outcome, found: Option<&Found>, by_hand: impl Fn(&str) -> String) -> Vec<String> {
    let vm = &outcome.name;
    if outcome.reason.as_deref() == Some("changed-by-others") {
        let mut steps = vec![
            "somebody else has staged another system meanwhile: find out who, and what they want".to_owned(),
            format!("see what is there: deployvm status {vm}"),
        ];
        // Shut down before that was seen.
        if found.is_some_and(startable) {
            steps.push(format!("start what is staged: deployvm start {vm}"));
        }
        steps.push(format!("deploy what is wanted: deployvm push {vm}"));
        return steps;
    }
    let Some(found) = found else {
        return vec![format!("see what is there: deployvm status {vm}"), format!("deployvm history {vm}")];
    };
    let mut steps =
        vec![format!("read what its unit says: {}", by_hand(&format!("journalctl -n 50 -u microvm@{vm}")))];
    if found.is_running() {
        steps.push(format!("see what does not hold: deployvm check {vm}"));
        steps.push("put the cause right".to_owned());
        steps.push(format!("start it afresh: deployvm restart {vm}"));
    } else {
        steps.push("put the cause right, such as a full disk, a missing tap or too little memory".to_owned());
    }
    let startable = startable(found);
    if startable {
        steps.push(format!("start what is staged: deployvm start {vm}"));
    }
    if let Some(number) = another(found, outcome) {
        let start = if found.is_running() { String::new() } else { format!(", then deployvm start {vm}") };
        let when = if found.is_running() || startable { "if that does not help, " } else { "" };
        steps.push(format!("{when}go to another generation: deployvm rollback {vm} --to {number}{start}"));
    }
    steps
}

/// What is not in the store does not start.
fn startable(found: &Found) -> bool {
    !found.is_running() && found.current_valid
}

/// The steps for the hypervisor's own system.
pub fn of_the_host(outcome: &Outcome, by_hand: impl Fn(&str) -> String) -> Vec<String> {
    if outcome.reason.as_deref() == Some("changed-by-others") {
        return vec![
            "somebody else has switched to another system meanwhile: find out who, and what they want"
                .to_owned(),
            "see what is there: deployvm host generations".to_owned(),
            "deploy what is wanted: deployvm host push".to_owned(),
        ];
    }
    let mut steps = vec![
        format!("see what does not run: {}", by_hand("systemctl --failed")),
        "put the cause right".to_owned(),
        "see which system runs, and which the next boot starts: deployvm host generations".to_owned(),
    ];
    if let Some(from) = &outcome.from {
        let again = by_hand(&format!("{from}/bin/switch-to-configuration test"));
        steps.push(format!("if it is not the one of before, switch back: {again}"));
    }
    steps
}

/// The newest generation that is neither staged nor what has just failed.
fn another(found: &Found, outcome: &Outcome) -> Option<u64> {
    let tried = [found.staged(), outcome.to.clone()];
    let untried = |(_, path): &&(u64, StorePath)| !tried.iter().flatten().any(|tried| tried == path);
    found.generations.iter().rev().find(untried).map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Unit;
    use crate::model::outcome::Word;

    fn path(c: char) -> StorePath {
        format!("/nix/store/{}-microvm-qemu-vm1", String::from(c).repeat(32)).parse().unwrap()
    }

    fn found(active: &str, sub: &str, pid: Option<u32>) -> Found {
        Found {
            unit: Unit { active: active.to_owned(), sub: sub.to_owned(), main_pid: pid, ..Unit::default() },
            running: pid.map(|_| path('b')),
            generations: vec![(1, path('a')), (2, path('b'))],
            generation: Some(2),
            generation_times: vec![1, 2],
            ..Found::example(active, path('b').to_string())
        }
    }

    fn said(found: Option<&Found>, reason: &str) -> String {
        let mut outcome = Outcome::new("vm1".parse().unwrap(), Word::Failed, 40);
        outcome.reason = Some(reason.to_owned());
        let by_hand = |command: &str| format!("ssh root@hv {command}");
        [vec![state(found)], steps(&outcome, found, by_hand)].concat().join("\n")
    }

    #[test]
    fn what_is_there_and_what_to_do() {
        let all = [
            said(Some(&found("failed", "failed", None)), "check-failed"),
            said(Some(&found("active", "running", Some(7))), "check-failed"),
            said(Some(&found("active", "running", Some(7))), "changed-by-others"),
            said(None, "process-exited"),
            said(Some(&Found { current_valid: false, ..found("failed", "failed", None) }), "process-exited"),
        ];
        insta::assert_snapshot!(all.join("\n\n"), @"
        nothing runs, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-microvm-qemu-vm1 is staged; its unit is failed (failed)
        read what its unit says: ssh root@hv journalctl -n 50 -u microvm@vm1
        put the cause right, such as a full disk, a missing tap or too little memory
        start what is staged: deployvm start vm1
        if that does not help, go to another generation: deployvm rollback vm1 --to 1, then deployvm start vm1

        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-microvm-qemu-vm1 runs, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-microvm-qemu-vm1 is staged; its unit is active (running)
        read what its unit says: ssh root@hv journalctl -n 50 -u microvm@vm1
        see what does not hold: deployvm check vm1
        put the cause right
        start it afresh: deployvm restart vm1
        if that does not help, go to another generation: deployvm rollback vm1 --to 1

        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-microvm-qemu-vm1 runs, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-microvm-qemu-vm1 is staged; its unit is active (running)
        somebody else has staged another system meanwhile: find out who, and what they want
        see what is there: deployvm status vm1
        deploy what is wanted: deployvm push vm1

        it is not installed
        see what is there: deployvm status vm1
        deployvm history vm1

        nothing runs, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-microvm-qemu-vm1 is staged, but not in the store; its unit is failed (failed)
        read what its unit says: ssh root@hv journalctl -n 50 -u microvm@vm1
        put the cause right, such as a full disk, a missing tap or too little memory
        go to another generation: deployvm rollback vm1 --to 1, then deployvm start vm1
        ");
    }
}
