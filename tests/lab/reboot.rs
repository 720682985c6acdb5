//! The hypervisor goes down in the middle of a trial: it comes up with the old runner, and
//! the next command closes what was left open.

use crate::harness::{HYPERVISOR, Lab};
use crate::running::until;

/// A check that keeps the trial going until the hypervisor goes down.
const NEVER: &str = "[vms.vm2.checks.never]\ntcp = \"10.2.0.2:9\"\nwithin = 100\n";

#[track_caller]
fn goes_down(how: &[&str], step: &str) {
    let lab = Lab::deployed(&[]);
    let old = lab.vm("vm2");
    let before = lab.transactions();
    lab.write("deployvm.toml", NEVER);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let push = lab.pushing(&["vm2"], &[]);
    let id = lab.reaches(&before, step);
    // Also the laptop: nobody is left who knows.
    push.signal("KILL");
    push.wait(10);
    lab.script("reboot", how).expect(0);

    // By itself, the hypervisor boots the old one.
    if step != "flipped" {
        lab.answers("vm2", "vm2 version 1");
    }
    // Any command closes the transaction.
    let status = lab.laptop(&["deployvm", "status", "-H", HYPERVISOR, "--no-eval"]);
    status.says(&id);
    let outcome = lab.outcome(&id);
    assert_eq!(outcome[0], "rolled-back", "{outcome:?}");
    lab.answers("vm2", "vm2 version 1");
    let new = lab.vm("vm2");
    new.runs(&lab, old.booted.as_ref().unwrap());
    assert_eq!((new.generation, &new.generations), (old.generation, &old.generations));
    let entry = lab.ledger().into_iter().find(|e| e["id"] == id.as_str()).unwrap();
    assert_eq!(entry["result"], "rolled-back", "{entry}");
    let history = lab.laptop(&["deployvm", "history", "-H", HYPERVISOR, "vm2"]).expect(0);
    history.says("rolled-back").says(entry["reason"].as_str().unwrap());
    // The laptop that died had held what it copied.
    lab.tidy_but("-pending-");

    // And all goes on as if nothing had been.
    lab.write("deployvm.toml", "");
    lab.push(&["vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 2");
}

#[test]
fn a_reboot_during_a_trial() {
    goes_down(&[], "booted");
}

#[test]
fn a_power_cut_during_a_trial() {
    goes_down(&["--hard"], "booted");
}

#[test]
fn a_power_cut_between_flip_and_trial() {
    goes_down(&["--hard"], "flipped");
}

#[test]
fn the_laptop_learns_what_a_reboot_did() {
    let lab = Lab::deployed(&[]);
    let before = lab.transactions();
    lab.write("deployvm.toml", NEVER);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let push = lab.pushing(&["vm2"], &[("DEPLOYVM_DEFAULTS__BOOT", "20")]);
    let id = lab.reaches(&before, "booted");
    lab.script("reboot", &[]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    // It followed the transaction all the time, and says what came of it.
    let pushed = crate::harness::Pushed(push.wait(400));
    let said = pushed.vm("vm2");
    until("an outcome", 5, || lab.transaction_file(&id, "outcome").ok_or(format!("{}", pushed.0)));
    assert_eq!((pushed.0.code, &said["result"]), (30, &"rolled-back".into()), "{}", pushed.0);
    // What it held was to be let go over the connection that is lost.
    lab.tidy_but("-pending-");
}
