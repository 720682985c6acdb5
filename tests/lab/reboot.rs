//! The hypervisor goes down in the middle of a trial: it comes up with the old runner, and
//! the next command closes what was left open.

use serde_json::Value;

use crate::faults::gate::{self, Place::Hypervisor};
use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::hypervisor::Vm;
use crate::running::{Running, until};

/// A check that keeps the trial going until the hypervisor goes down.
const NEVER: &str = "[vms.vm2.checks.never]\ntcp = \"10.2.0.2:9\"\nwithin = 100\n";

/// Brings the hypervisor down, and the laptop, when the switch of vm2 has come to a step.
/// Returns the switch and what vm2 was before.
#[track_caller]
fn goes_down(lab: &Lab, how: &[&str], step: &str) -> (String, Vm) {
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
    lab.write("deployvm.toml", "");
    (id, old)
}

/// Panics unless the switch was undone and is told so.
#[track_caller]
fn undone(lab: &Lab, id: &str) -> Value {
    let outcome = lab.outcome(id);
    assert_eq!(outcome[0], "rolled-back", "{outcome:?}");
    let entry = lab.ledger().into_iter().find(|e| e["id"] == id).unwrap();
    assert_eq!(entry["result"], "rolled-back", "{entry}");
    let history = lab.laptop(&["deployvm", "history", "-H", HYPERVISOR, "vm2"]).expect(0);
    history.says("rolled-back").says(entry["reason"].as_str().unwrap());
    entry
}

#[track_caller]
fn a_look_closes_it(how: &[&str], step: &str) {
    let lab = Lab::deployed(&[]);
    let (id, old) = goes_down(&lab, how, step);
    let status = lab.laptop(&["deployvm", "status", "-H", HYPERVISOR, "--no-eval"]);
    status.says(&id);
    undone(&lab, &id);
    lab.answers("vm2", "vm2 version 1");
    let new = lab.vm("vm2");
    new.runs(&lab, old.booted.as_ref().unwrap());
    assert_eq!((new.generation, &new.generations), (old.generation, &old.generations));
    // The laptop that died had held what it copied.
    lab.tidy_but("-pending-");

    // And all goes on as if nothing had been.
    lab.push(&["vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 2");
}

#[test]
fn a_reboot_during_a_trial() {
    a_look_closes_it(&[], "booted");
}

#[test]
fn a_power_cut_between_flip_and_trial() {
    a_look_closes_it(&["--hard"], "flipped");
}

#[test]
fn a_power_cut_during_a_trial_and_the_next_push() {
    let lab = Lab::deployed(&[]);
    let (id, old) = goes_down(&lab, &["--hard"], "booted");
    assert!(lab.transaction_file(&id, "outcome").is_none(), "nobody has closed it");
    let pushed = lab.push(&["vm2"]).expect(0);
    let said = pushed.vm_is("vm2", "deployed", 0);
    assert_eq!(said["from"].as_str(), old.booted.as_deref(), "it began with what ran before\n{said}");
    let warnings = pushed.events("warning");
    let texts: Vec<&str> = warnings.iter().map(|e| e["message"].as_str().unwrap()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(texts[0], "a switch of vm2 was interrupted before: ending it first");
    for part in
        [&format!("vm2: the switch {id} (root@"), ": push vm2) was interrupted, and ended by itself: "]
    {
        assert!(texts[1].contains(part), "{part}: {texts:?}");
    }
    assert!(texts[1].ends_with("undone (hypervisor-restarted): what ran before runs again"), "{texts:?}");
    assert_eq!(undone(&lab, &id)["reason"], "hypervisor-restarted");
    lab.answers("vm2", "vm2 version 2");
    let new = lab.vm("vm2");
    new.runs(&lab, said["to"].as_str().unwrap());
    assert_eq!((new.generation, new.generations.len()), (Some(2), 2));
    lab.tidy_but("-pending-");
    // It is told once.
    let again = lab.push(&["vm2"]).expect(0);
    assert!(again.events("warning").is_empty(), "{}", again.0);
}

#[test]
fn the_laptop_learns_what_a_reboot_did() {
    let lab = Lab::deployed(&[]);
    let before = lab.transactions();
    lab.write("deployvm.toml", NEVER);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let push = lab.pushing(&["vm2"], &[]);
    let id = lab.reaches(&before, "booted");
    lab.script("reboot", &[]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    // It followed the transaction all the time, and says what came of it.
    let pushed = Pushed(push.wait(500));
    let said = pushed.vm("vm2");
    until("an outcome", 5, || lab.transaction_file(&id, "outcome").ok_or(format!("{}", pushed.0)));
    assert_eq!((pushed.0.code, &said["result"]), (30, &"rolled-back".into()), "{}", pushed.0);
    // What it held was to be let go over the connection that is lost.
    lab.tidy_but("-pending-");
}

#[test]
fn a_power_cut_in_the_middle_of_a_retirement() {
    let lab = Lab::deployed(&[]);
    lab.laptop(&["git", "rm", "-q", "vms/vm1.nix"]).expect(0);
    lab.commit();
    lab.gates();
    let half = gate::step("unlink", Hypervisor, "rm", "-rf -- /var/lib/deployvm/terms/vm1 *", "");
    lab.arm(&half);
    let before = lab.transactions();
    let argv = ["deployvm", "retire", "vm1", "-H", HYPERVISOR, "--yes", "--json"];
    let retire = Running::start(lab.command(&argv), false);
    let id = lab.reaches(&before, "stopped");
    lab.arrives(&half, || Ok(()));
    lab.script("reboot", &["--hard"]).expect(0);
    let retired = Pushed(retire.wait(500)).expect(0);
    assert_eq!(retired.vm("vm1")["result"], "done", "{}", retired.0);
    let gone = lab.vm("vm1");
    assert_eq!((&gone.current, &gone.booted, gone.pid), (&None, &None, 0), "{gone:#?}");
    assert!(gone.generations.is_empty(), "{gone:#?}");
    assert_eq!(lab.hv("ls /nix/var/nix/gcroots/microvm/*vm1 2>/dev/null || :").stdout, "");
    let entries = lab.ledger().into_iter().filter(|e| e["id"] == id.as_str());
    assert_eq!(entries.map(|e| e["result"].clone()).collect::<Vec<_>>(), ["done"]);
    lab.tidy_but("-pending-");
}

#[test]
fn what_was_staged_stays_so_when_only_the_record_was_to_be_written() {
    let lab = Lab::deployed(&["--vms", "1"]);
    lab.edit_vm("vm1", r#"version = "2";"#);
    lab.push(&["--no-restart"]).expect(0);
    let staged = lab.vm("vm1").current.unwrap();
    // Undone, with what was staged before staged again, up to the line in the ledger.
    lab.write("deployvm.toml", "[vms.vm1.checks.never]\ntcp = \"10.1.0.2:9\"\nwithin = 1\n");
    lab.edit_vm("vm1", r#"version = "3";"#);
    lab.gates();
    let line = gate::step("ledger", Hypervisor, "date", "-u *", "undoing");
    let push = lab.pushing_up_to(&line, "vm1");
    assert_eq!(lab.vm("vm1").current.as_deref(), Some(staged.as_str()));
    lab.script("reboot", &[]).expect(0);
    let pushed = Pushed(push.wait(500)).expect(31);
    assert_eq!(lab.vm("vm1").current.as_deref(), Some(staged.as_str()), "{}", pushed.0);
    lab.tidy_but("-pending-");
}
