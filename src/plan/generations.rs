//! What is known about the numbered generations of a microVM, from its profile and the
//! ledger, and which one a rollback goes to. A generation is known by number and path
//! together, because Nix may give a number again.

use std::collections::BTreeMap;

use crate::error::{Aftermath, Failure, Result};
use crate::model::generation::Generation;
use crate::model::ledger::Entry;
use crate::model::name::VmName;
use crate::model::observed::Found;
use crate::model::store_path::StorePath;

/// The number of a runner, the highest if it has several.
pub fn number_of(found: &Found, path: &StorePath) -> Option<u64> {
    found.generations.iter().rev().find(|(_, p)| p == path).map(|(number, _)| *number)
}

/// The ledger's latest line about how a generation was made; rolling back to it and
/// starting it are not making it.
pub fn made_by<'a>(vm: &VmName, number: u64, path: &StorePath, ledger: &'a [Entry]) -> Option<&'a Entry> {
    let makes = |e: &&Entry| matches!(e.verb.as_deref(), Some("push" | "adopt"));
    about(vm, number, path, ledger).rev().find(makes)
}

/// When it was made, RFC 3339: as the line says that also tells of what, or else when it
/// got its number. A number stays when the same runner is deployed again.
pub fn made_when(
    made: Option<&Entry>,
    found: &Found,
    number: u64,
    time: fn(u64) -> String,
) -> Option<String> {
    let numbered = || {
        let index = found.generations.iter().position(|(each, _)| *each == number)?;
        found.generation_times.get(index).copied().map(time)
    };
    made.and_then(|entry| entry.time.clone()).or_else(numbered)
}

/// Whether it passed its checks at some time, or ran when it was adopted. Only what was
/// staged or left failing is marked otherwise, so no such line speaks for it.
pub fn verified(vm: &VmName, number: u64, path: &StorePath, ledger: &[Entry]) -> bool {
    let mut doubtful = false;
    for entry in about(vm, number, path, ledger) {
        match (entry.verb.as_deref(), entry.result.as_deref()) {
            (_, Some("deployed")) | (Some("start" | "restart"), Some("done")) => return true,
            (Some("push" | "adopt" | "rollback"), Some("staged" | "failed")) => doubtful = true,
            _ => {}
        }
    }
    !doubtful
}

fn about<'a>(
    vm: &VmName,
    number: u64,
    path: &StorePath,
    ledger: &'a [Entry],
) -> impl DoubleEndedIterator<Item = &'a Entry> {
    let (vm, path) = (vm.clone(), path.clone());
    ledger.iter().filter(move |e| {
        e.vm == vm.as_str() && e.generation == Some(number) && e.to.as_deref() == Some(path.as_str())
    })
}

/// All of them, ascending. `time` turns Unix seconds into RFC 3339.
pub fn list(
    vm: &VmName,
    found: &Found,
    ledger: &[Entry],
    sizes: &BTreeMap<StorePath, u64>,
    time: fn(u64) -> String,
) -> Vec<Generation> {
    let (current, booted) = (found.staged(), found.booted_path());
    let number = |path: &Option<StorePath>| path.as_ref().and_then(|p| number_of(found, p));
    let (current, booted) = (number(&current), number(&booted));
    let all = found.generations.iter();
    all.map(|(number, path)| {
        let made = made_by(vm, *number, path, ledger);
        Generation {
            number: *number,
            time: made_when(made, found, *number, time),
            path: path.clone(),
            revision: made.and_then(|e| e.revision.clone()),
            dirty: made.and_then(|e| e.dirty),
            who: made.and_then(|e| e.who.clone()),
            bytes: sizes.get(path).copied(),
            current: current == Some(*number),
            booted: booted == Some(*number),
            verified: verified(vm, *number, path, ledger),
            pinned: found.pins.contains(number),
        }
    })
    .collect()
}

/// Where a rollback goes: to the number that was asked for; where something else is
/// staged than runs, back to what runs; otherwise to the highest verified generation
/// below the current one.
///
/// # Errors
/// 2 for a number that there is not, 12 when there is nothing to go back to.
pub fn previous(vm: &VmName, found: &Found, ledger: &[Entry], to: Option<u64>) -> Result<(u64, StorePath)> {
    let all = &found.generations;
    if let Some(wanted) = to {
        let there = all.iter().find(|(number, _)| *number == wanted).cloned();
        return there.ok_or_else(|| {
            Failure::usage(format!("{vm} has no generation {wanted}")).help(listed(vm, found, ledger))
        });
    }
    let staged = found.staged();
    let runs = found.booted_path().filter(|path| found.is_running() && Some(path) != staged.as_ref());
    if let Some(path) = runs
        && let Some(number) = number_of(found, &path)
    {
        return Ok((number, path));
    }
    // What was staged by hand has no number: then everything that has one is older.
    let below = staged.as_ref().and_then(|path| number_of(found, path)).unwrap_or(u64::MAX);
    let earlier = all.iter().rev().filter(|(number, path)| *number < below && Some(path) != staged.as_ref());
    let mut good = earlier.filter(|(number, path)| verified(vm, *number, path, ledger));
    good.next().cloned().ok_or_else(|| {
        let message = format!("{vm} has no earlier generation that was verified");
        let later =
            all.iter().rev().filter(|(number, path)| *number > below && Some(path) != staged.as_ref());
        let mut later = later.filter(|(number, path)| verified(vm, *number, path, ledger));
        let forward = later.next().map(|(number, _)| {
            format!("\na later one was verified, and can be gone to: deployvm rollback {vm} --to {number}")
        });
        let help = format!("{}{}", listed(vm, found, ledger), forward.unwrap_or_default());
        Failure::new(Aftermath::Refused, message).help(help)
    })
}

fn listed(vm: &VmName, found: &Found, ledger: &[Entry]) -> String {
    let staged = found.staged();
    let words: Vec<String> = found
        .generations
        .iter()
        .map(|(number, path)| {
            let current = if Some(path) == staged.as_ref() { " (current)" } else { "" };
            let doubt = if verified(vm, *number, path, ledger) { "" } else { " (unverified)" };
            format!("{number}{current}{doubt}")
        })
        .collect();
    match words.as_slice() {
        [] => format!("{vm} has no generations at all: `deployvm push {vm}` makes one"),
        words => format!("it has {}; see `deployvm generations {vm}`", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(letter: char) -> StorePath {
        let hash: String = std::iter::repeat_n(letter, 32).collect();
        format!("/nix/store/{hash}-microvm-qemu-vm1").parse().unwrap()
    }

    fn found(current: char, booted: char, generations: &[(u64, char)]) -> Found {
        Found {
            current: Some(path(current).to_string()),
            generations: generations.iter().map(|(n, c)| (*n, path(*c))).collect(),
            generation_times: generations.iter().map(|(n, _)| *n).collect(),
            pins: vec![1],
            ..Found::example("active", path(booted).to_string())
        }
    }

    /// `N LETTER VERB RESULT [REVISION [TIME]]`
    fn ledger(lines: &[&str]) -> Vec<Entry> {
        let entry = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let number: u64 = words[0].parse().unwrap();
            let to = path(words[1].chars().next().unwrap());
            let who = (words[2] != "adopt").then_some("me@laptop");
            let value = serde_json::json!({ "id": line, "vm": "vm1", "generation": number, "to": to,
                "verb": words[2], "result": words[3], "who": who, "revision": words.get(4),
                "time": words.get(5) });
            serde_json::from_value(value).unwrap()
        };
        lines.iter().map(entry).collect()
    }

    fn goes_to(found: &Found, lines: &[&str], to: Option<u64>) -> String {
        match previous(&"vm1".parse().unwrap(), found, &ledger(lines), to) {
            Ok((number, _)) => number.to_string(),
            Err(f) => format!("{} {} | {}", f.aftermath.code(), f.message, f.help.unwrap_or_default()),
        }
    }

    #[test]
    fn a_rollback_goes_to_the_highest_verified_one_below() {
        let three = [(1, 'a'), (2, 'b'), (3, 'c')];
        let staged = ["1 a adopt deployed", "2 b push staged", "3 c push deployed"];
        let all = [
            goes_to(&found('c', 'c', &three), &[], None),
            goes_to(&found('b', 'b', &three), &[], None),
            goes_to(&found('c', 'c', &three), &staged, None),
            goes_to(&found('c', 'c', &three), &["2 b push failed", "2 b push deployed"], None),
            goes_to(&found('c', 'c', &three), &["2 b push staged", "2 b restart done"], None),
            goes_to(&found('c', 'c', &three), &["2 b push staged", "2 b stop done"], None),
            goes_to(&found('c', 'c', &three), &["2 b stop failed"], None),
            // Another path had the number: its lines say nothing about this one.
            goes_to(&found('c', 'c', &three), &["2 x push failed"], None),
            // Staged by hand, or by --no-restart: going back undoes that.
            goes_to(&found('x', 'c', &three), &[], None),
            goes_to(&found('c', 'b', &three), &[], None),
            goes_to(&found('c', 'a', &three), &[], None),
            goes_to(&found('a', 'a', &three), &[], None),
            goes_to(&found('b', 'b', &three), &["1 a push failed"], None),
            goes_to(&found('c', 'c', &three), &staged, Some(2)),
            goes_to(&found('c', 'c', &three), &staged, Some(7)),
            goes_to(&found('c', 'c', &[]), &[], None),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        2
        1
        1
        2
        2
        1
        2
        2
        3
        2
        1
        12 vm1 has no earlier generation that was verified | it has 1 (current), 2, 3; see `deployvm generations vm1`
        a later one was verified, and can be gone to: deployvm rollback vm1 --to 3
        12 vm1 has no earlier generation that was verified | it has 1 (unverified), 2 (current), 3; see `deployvm generations vm1`
        a later one was verified, and can be gone to: deployvm rollback vm1 --to 3
        2
        2 vm1 has no generation 7 | it has 1, 2 (unverified), 3 (current); see `deployvm generations vm1`
        12 vm1 has no earlier generation that was verified | vm1 has no generations at all: `deployvm push vm1` makes one
        ");
    }

    #[test]
    fn the_list_says_who_made_it_not_who_went_back_to_it() {
        let vm = "vm1".parse().unwrap();
        let lines = ledger(&[
            "1 a adopt deployed",
            "2 b push deployed abc",
            "2 b push deployed abd noon",
            "3 c push staged def",
            "1 a rollback deployed",
            "2 b start done",
        ]);
        let sizes = BTreeMap::from([(path('b'), 42)]);
        let found = found('a', 'b', &[(1, 'a'), (2, 'b'), (3, 'c')]);
        let list = list(&vm, &found, &lines, &sizes, |seconds| format!("{seconds} s"));
        let rows: Vec<String> = list
            .iter()
            .map(|g| {
                let marks = [("c", g.current), ("b", g.booted), ("v", g.verified), ("p", g.pinned)]
                    .map(|(c, on)| if on { c } else { "" });
                format!(
                    "{} {:?} {:?} {:?} {:?} {}",
                    g.number,
                    g.time,
                    g.who,
                    g.revision,
                    g.bytes,
                    marks.concat()
                )
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        1 Some("1 s") None None None cvp
        2 Some("noon") Some("me@laptop") Some("abd") Some(42) bv
        3 Some("3 s") Some("me@laptop") Some("def") None
        "#);
    }
}
