//! Ctrl-C at moments when nothing can be undone: before there is anything, before anything
//! was touched, and before something that cannot be taken back.

use crate::faults::gate::{self, Place::Hypervisor, Step};
use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::{Running, until};

/// What a transaction is about is flushed to the disk, before anybody can see it.
const WRITTEN: Step = gate::step("begin", Hypervisor, "sync", "*/transactions/.new-*", "");

/// Waits until somebody has decided.
#[track_caller]
fn decided(lab: &Lab, id: &str) {
    until("it is decided", 60, || {
        match lab.hv(&format!("readlink /var/lib/deployvm/transactions/{id}/decided")) {
            said if said.code == 0 => Ok(()),
            said => Err(said.said()),
        }
    });
}

#[test]
fn a_switch_that_is_just_written_down() {
    let lab = Lab::deployed(&[]);
    lab.gates();
    lab.edit_vm("vm2", r#"version = "2";"#);
    let push = lab.pushing_up_to(&WRITTEN, "vm2");
    let before = lab.on_laptop("ssh");
    push.signal("INT");
    until("the hypervisor is asked", 60, || match lab.on_laptop("ssh") {
        all if all.iter().any(|pid| !before.contains(pid)) => Ok(()),
        all => Err(all.join(" ")),
    });
    lab.release(&WRITTEN);
    let pushed = Pushed(push.wait(200)).expect(30);
    pushed.0.says("asking the hypervisor to undo it");
    assert_eq!(pushed.vm_is("vm2", "rolled-back", 30)["reason"], "interrupted");
    lab.answers("vm2", "vm2 version 1");
    lab.tidy();
}

#[test]
fn a_vm_that_was_not_touched_yet_is_left_alone() {
    let lab = Lab::deployed(&[]);
    lab.gates();
    let (old, before) = (lab.vm("vm2"), lab.transactions());
    lab.edit_vm("vm2", r#"version = "2";"#);
    let root = gate::named("root");
    let push = lab.pushing_up_to(root, "vm2");
    let id = lab.reaches(&before, "locked");
    push.signal("INT");
    decided(&lab, &id);
    lab.release(root);
    let pushed = Pushed(push.wait(200)).expect(30);
    assert_eq!(pushed.vm_is("vm2", "rolled-back", 30)["reason"], "interrupted");
    assert_eq!(
        (lab.vm("vm2").pid, lab.vm("vm2").generation),
        (old.pid, old.generation),
        "it never went down"
    );
    lab.tidy();
}

#[test]
fn a_vm_that_was_to_be_retired_is_still_there() {
    let lab = Lab::up(&[]);
    lab.edit_vm("vm1", "stopSeconds = 20;");
    lab.push(&[]).expect(0);
    let old = lab.vm("vm1");
    lab.laptop(&["git", "rm", "-q", "vms/vm1.nix"]).expect(0);
    lab.commit();
    let retire = || {
        let argv = ["deployvm", "retire", "vm1", "-H", HYPERVISOR, "--yes", "--json"];
        Running::start(lab.command(&argv), false)
    };
    let before = lab.transactions();
    let interrupted = retire();
    lab.reaches(&before, "stopping");
    interrupted.signal("INT");
    interrupted.wait(120).expect(32).says("asking the hypervisor to leave it as it is");
    let left = lab.vm("vm1");
    assert_eq!((&left.current, &left.generations), (&old.current, &old.generations));
    assert_eq!(left.pid, 0);
    let entry = lab.last_entry("vm1");
    assert_eq!((&entry["result"], &entry["reason"]), (&"failed".into(), &"interrupted".into()), "{entry}");
    lab.laptop(&["deployvm", "start", "vm1", "-H", HYPERVISOR, "--yes"]).expect(0);
    lab.answers("vm1", "vm1 version 1");

    retire().wait(120).expect(0);
    assert!(lab.vm("vm1").current.is_none());
    lab.tidy();
}

#[test]
fn a_vm_that_was_not_started_yet_stays_down() {
    let lab = Lab::deployed(&["--vms", "1"]);
    let verb = |verb| ["deployvm", verb, "vm1", "-H", HYPERVISOR, "--yes", "--json"];
    lab.laptop(&verb("stop")).expect(0);
    lab.gates();
    let (before, record) = (lab.transactions(), gate::named("record"));
    lab.arm(record);
    let start = Running::start(lab.command(&verb("start")), false);
    let id = lab.reaches(&before, "locked");
    lab.arrives(record, || Ok(()));
    start.signal("INT");
    decided(&lab, &id);
    lab.release(record);
    let said = Pushed(start.wait(120)).expect(32);
    said.0.says("asking the hypervisor to leave it as it is");
    assert_eq!(said.vm("vm1")["reason"], "interrupted", "{}", said.0);
    assert_eq!(lab.vm("vm1").pid, 0);
    lab.tidy();
}
