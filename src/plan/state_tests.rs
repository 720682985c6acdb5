//! Tests of `state`: a table, one row for each way that a VM can be.

use super::*;
use crate::model::observed::OpenTransaction;

fn path(letter: char) -> StorePath {
    let hash: String = std::iter::repeat_n(letter, 32).collect();
    format!("/nix/store/{hash}-microvm-qemu-vm1").parse().unwrap()
}

/// `CURRENT BOOTED RUNNING ACTIVE/SUB RESTARTS`, with `-` for what is not there.
fn found(text: &str) -> Found {
    let words: Vec<&str> = text.split_whitespace().collect();
    let letter = |word: &str| word.chars().next().filter(|c| *c != '-').map(path);
    let (active, sub) = words[3].split_once('/').unwrap();
    let example = Found::example(active, String::new());
    Found {
        current: letter(words[0]).map(|p| p.to_string()),
        booted: letter(words[1]).map(|p| p.to_string()),
        running: letter(words[2]),
        unit: Unit { sub: sub.to_owned(), restarts: words[4].parse().unwrap(), ..example.unit.clone() },
        generations: vec![(1, path('a')), (2, path('b'))],
        generation: Some(2),
        generation_times: vec![1, 2],
        ..example
    }
}

#[test]
fn the_first_state_that_matches() {
    let wanted = path('a');
    let table = [
        // wanted, what was found, state
        ("a", "", State::Absent),
        ("!", "", State::Absent),
        ("-", "a a a active/running 0", State::Orphan),
        ("-", "a - - failed/failed 0", State::Orphan),
        ("a", "a a - failed/failed 0", State::Failed),
        ("a", "a a - activating/auto-restart 3", State::Failed),
        ("a", "a a - activating/auto-restart-queued 3", State::Failed),
        ("a", "a a - activating/start 3", State::Failed),
        ("a", "a a - activating/start 0", State::Current),
        ("a", "a - - inactive/dead 0", State::Stopped),
        ("a", "b - - inactive/dead 0", State::Stopped),
        ("a", "a a - deactivating/stop-sigterm 0", State::Stopped),
        ("a", "b b b active/running 0", State::Outdated),
        ("a", "b c c active/running 0", State::Outdated),
        ("a", "a b b active/running 0", State::Stale),
        ("a", "b a a active/running 0", State::Stale),
        // `booted` says one thing, and another one runs: what runs counts.
        ("a", "a a b active/running 0", State::Stale),
        ("a", "b a b active/running 0", State::Outdated),
        ("a", "a a a active/running 7", State::Current),
        // What runs cannot be told: what was booted stands in for it.
        ("a", "a a - active/running 0", State::Current),
        ("a", "a - - active/running 0", State::Current),
        ("a", "b - - active/running 0", State::Outdated),
        // Nobody knows what is wanted.
        ("?", "a a a active/running 0", State::Current),
        ("?", "b a a active/running 0", State::Stale),
        ("?", "b - - inactive/dead 0", State::Stopped),
        ("!", "b b b active/running 0", State::Current),
        ("!", "b - - failed/failed 0", State::Failed),
    ];
    for (desired, text, expected) in table {
        let desired = match desired {
            "a" => Desired::Runner(&wanted),
            "-" => Desired::Nothing,
            "!" => Desired::Broken("error: x"),
            _ => Desired::Unasked,
        };
        let found = (!text.is_empty()).then(|| found(text));
        assert_eq!(state(desired, found.as_ref()), expected, "{desired:?} {text}");
    }
}

#[test]
fn a_row_says_what_does_not_fit_into_a_state() {
    let name: VmName = "vm1".parse().unwrap();
    let mut vm = found("b a a active/running 0");
    vm.autostart = false;
    vm.current_valid = false;
    vm.locked = Some("me@laptop since noon: push vm1".to_owned());
    let mut observed = Observed::default();
    observed.vms.insert(name.clone(), vm);
    let line = serde_json::json!({ "id": "t", "vm": "vm1", "verb": "push", "generation": 1, "to": path('a'),
        "result": "deployed", "revision": "abc" });
    observed.ledger = vec![serde_json::from_value(line).unwrap()];
    let row = status(&name, "hv", Desired::Broken("trace\nerror: no"), &observed);
    assert_eq!((row.state, row.generation), (State::Stale, Some(1)));
    assert_eq!(row.revision.as_deref(), Some("abc"));
    insta::assert_snapshot!(row.notes.join("\n"), @r"
    what the flake wants is not known, it does not evaluate: trace error: no
    /nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-microvm-qemu-vm1, which is staged, is not in the store: it cannot start again
    locked by me@laptop since noon: push vm1
    the hypervisor does not start it at boot
    ");
    let left = serde_json::json!({ "id": "t", "vm": "vm1", "verb": "push", "generation": 1, "to": path('a'),
        "result": "failed" });
    let ledger = std::mem::replace(&mut observed.ledger, vec![serde_json::from_value(left).unwrap()]);
    let row = status(&name, "hv", Desired::Unasked, &observed);
    assert_eq!(row.notes[0], "generation 1 is unverified: it never passed its checks");
    observed.ledger = ledger;
    let open = |alive| OpenTransaction { id: "t-1".to_owned(), vm: "vm1".to_owned(), alive };
    observed.open = vec![open(true), open(false)];
    let row = status(&name, "hv", Desired::Unasked, &observed);
    insta::assert_snapshot!(row.notes.join("\n"), @r"
    /nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-microvm-qemu-vm1, which is staged, is not in the store: it cannot start again
    the hypervisor does not start it at boot
    the switch t-1 is under way
    the switch t-1 was interrupted and is not closed yet
    ");
}
