//! What is believed after an undo, found by real programs of this machine.

use super::*;
use crate::model::address::Address;
use crate::model::event::Events;
use crate::model::inventory::FlakeFacts;
use crate::pipeline::Footprint;
use crate::pipeline::reconnect::Ways;
use crate::stage::copy::already_there;
use crate::stage::switch::Facts;

/// An undone switch of a VM with one check from here, which passed before and is a shell's;
/// `$0` is a file of its own.
async fn undone(script: &str, file: &str) -> Outcome {
    let movement = serde_json::json!({
        "vm": "vm1", "how": "restart", "running": true,
        "to": "/nix/store/0123abcd0123abcd0123abcd0123abcd-microvm-qemu-vm1",
        "checks": [{
            "name": "hand", "from": "laptop", "probe": { "exec": { "argv": ["sh", "-c", script, file] } },
            "expect": "ok", "within": 0, "strict": false, "derived": false, "excusable": false,
        }],
        "taps": [], "adopt": [], "notes": [],
        "guest": crate::model::settings::Guest::default(),
        "deadlines": crate::model::settings::Deadlines::default(),
    });
    let movement: Move = serde_json::from_value(movement).unwrap();
    let facts = Facts { verb: "push", who: String::new(), flake: FlakeFacts::default(), keep_failed: false };
    let copied = already_there(vec![movement]).pop().unwrap();
    let trial = OnTrial::new(copied, &facts).unwrap();
    let (host, footprint) = (Host::local(), Footprint::default());
    let (events, _heard) = Events::channel();
    let (_first, interrupted) = watch::channel(false);
    let ways = Ways { first: &host, address: &Address::Local, moved: None };
    let attendance =
        Attendance { host: &host, ways, facts: &facts, events: &events, footprint: &footprint, interrupted };
    let (before, told) = (vec![Some(true)], Cell::new(0));
    let sitting =
        Sitting { attendance: &attendance, trial: &trial, before: &before, host: &host, told: &told };
    let mut outcome = Outcome::new(trial.movement.vm.clone(), Word::RolledBack, 31);
    assert!(see_to_the_rest(&sitting, &mut outcome).await.is_none(), "it never was gone");
    outcome
}

/// As when the line was gone for the check's time, and back by the time it was asked for.
#[tokio::test]
async fn what_fails_once_after_an_undo_is_asked_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("asked").display().to_string();
    let outcome = undone("printf x >>\"$0\"; [ \"$(cat \"$0\")\" != x ]", &file).await;
    assert_eq!((outcome.result, outcome.exit, outcome.detail), (Word::RolledBack, 31, None));
    let outcome = undone("exit 1", &file).await;
    assert_eq!((outcome.result, outcome.exit), (Word::Failed, 40));
    assert!(outcome.detail.unwrap().contains("does not now: hand from laptop (nonzero-1)"));
}
