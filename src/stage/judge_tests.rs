//! What a check fared before a switch, found by real programs of this machine.

use super::*;
use crate::model::check::{From, Probe};
use crate::model::settings::{Deadlines, Guest};

/// A check from here by a shell; `$0` is a file of its own.
fn check(dir: &std::path::Path, name: &str, script: &str) -> Check {
    let file = dir.join(name).display().to_string();
    let argv = ["sh", "-c", script, &file].map(str::to_owned).to_vec();
    Check {
        name: name.to_owned(),
        from: From::Laptop,
        probe: Probe::Exec { argv },
        expect: Expect::Ok,
        within: 1,
        strict: false,
        derived: false,
        excusable: true,
    }
}

fn movement(checks: &[Check]) -> Move {
    let json = serde_json::json!({
        "vm": "vm1", "how": "restart", "running": true,
        "to": "/nix/store/0123abcd0123abcd0123abcd0123abcd-microvm-qemu-vm1",
        "checks": checks, "taps": [], "adopt": [], "notes": [],
        "guest": Guest::default(), "deadlines": Deadlines::default(),
    });
    serde_json::from_value(json).unwrap()
}

fn found(movement: &Move) -> Before {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(before(movement, &Way::default()))
}

#[test]
fn an_excuse_needs_a_failure_that_was_found_thrice() {
    let dir = tempfile::tempdir().unwrap();
    let asked = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default().len();
    let once = "printf x >>\"$0\"; ";
    let fails = check(dir.path(), "fails", &format!("{once} exit 1"));
    let flaps = check(dir.path(), "flaps", &format!("{once} [ \"$(cat \"$0\")\" = xxx ]"));
    let passes = check(dir.path(), "passes", once);
    let strict = Check { excusable: false, ..check(dir.path(), "strict", &format!("{once} exit 1")) };
    let movement = movement(&[fails, flaps, passes, strict]);
    assert_eq!(found(&movement), [Some(false), Some(true), Some(true), Some(false)]);
    assert_eq!(["fails", "flaps", "passes", "strict"].map(asked), [3, 3, 1, 1]);
    // A VM that does not run is not asked.
    assert_eq!(found(&Move { running: false, ..movement }), [None; 4]);
    assert_eq!(asked("fails"), 3);
}

#[test]
fn what_nobody_could_ask_is_no_excuse() {
    let dir = tempfile::tempdir().unwrap();
    let inside = Check { from: From::Vm, ..check(dir.path(), "inside", "exit 1") };
    let exec = |argv: &[&str]| Probe::Exec { argv: argv.iter().map(|&word| word.to_owned()).collect() };
    let missing = Check { probe: exec(&["no-such-program"]), ..check(dir.path(), "missing", "") };
    let broken = check(dir.path(), "broken", "exit 126");
    assert_eq!(found(&movement(&[inside, missing, broken])), [None; 3]);
}

/// A shorter list would read as all of them, and as good.
#[test]
#[should_panic(expected = "on purpose")]
fn a_check_that_panics_is_not_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let checks = ["breaks", "passes"].map(|name| check(dir.path(), name, ""));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let work = |check: Check| async move { assert_ne!(check.name, "breaks", "on purpose") };
    runtime.block_on(together(checks.iter().collect(), work, |_, ()| ()));
}

/// As when the line was gone for its time, and is back.
#[tokio::test]
async fn what_fails_once_in_a_survey_is_asked_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let once = "printf x >>\"$0\"; ";
    let back = check(dir.path(), "back", &format!("{once} [ \"$(cat \"$0\")\" != x ]"));
    let fails = check(dir.path(), "fails", &format!("{once} exit 1"));
    let checks = [back, fails].map(|check| Check { within: 0, ..check });
    let (events, mut heard) = Events::channel();
    let results = survey(&movement(&checks), &Host::local(), true, &events).await;
    assert_eq!(results.iter().map(|result| result.ok).collect::<Vec<_>>(), [true, false]);
    let mut told = Vec::new();
    while let Ok(Event::Checked { check, .. }) = heard.try_recv() {
        told.push(check.ok);
    }
    assert_eq!(told, [true, false], "each once");
}
