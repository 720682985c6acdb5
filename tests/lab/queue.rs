//! Several who push at once: one works, the others are told who does, or wait.

use crate::faults::gate;
use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::until;

fn verb(lab: &Lab, args: &[&str]) -> Pushed {
    Pushed(lab.laptop(&[&["deployvm"], args, &["-H", HYPERVISOR, "--yes", "--json"]].concat()))
}

#[test]
fn who_is_at_work_is_told_and_can_be_waited_for() {
    let lab = Lab::deployed(&[]);
    lab.gates();
    // What a dead one has left is no lock.
    let ghost = "mkdir -p /run/deployvm; echo ghost >/run/deployvm/vm1.holder; : >/run/deployvm/vm1.lock";
    lab.hv(ghost).expect(0);
    verb(&lab, &["restart", "vm1"]).expect(0);

    lab.edit_vm("vm2", r#"version = "2";"#);
    let record = gate::named("record");
    let first = lab.pushing_up_to(record, "vm2");
    lab.edit_vm("vm2", r#"version = "3";"#);
    let others =
        [lab.push(&["vm2"]), verb(&lab, &["restart", "vm2"]), verb(&lab, &["stop", "vm2", "--wait", "1s"])];
    for refused in others {
        let said = refused.expect(12).vm_is("vm2", "refused", 12);
        let detail = said["detail"].as_str().unwrap();
        for part in ["locked by root@", " since 20", ": push vm2"] {
            assert!(detail.contains(part), "{detail}");
        }
    }
    // VMs that nobody works on are no business of that lock.
    lab.push(&["vm1"]).expect(0);
    assert_eq!(first.stdout().matches(r#""event":"summary""#).count(), 0, "it was still at work");

    let waiting = lab.pushing(&["vm2", "--wait", "4m"], &[]);
    until("it waits", 60, || match waiting.said() {
        said if said.contains("waiting, for at most") => Ok(()),
        said => Err(said),
    });
    lab.release(record);
    Pushed(first.wait(150)).expect(0).vm_is("vm2", "deployed", 0);
    let waiting = Pushed(waiting.wait(300)).expect(0);
    waiting.0.says("vm2 is locked by root@").says("waiting, for at most");
    waiting.vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 3");
    lab.tidy();
}

#[test]
fn everybody_who_waits_has_a_turn() {
    let lab = Lab::deployed(&[]);
    let mut revisions = Vec::new();
    for version in ["2", "3", "4"] {
        lab.edit_vm("vm2", &format!(r#"version = "{version}";"#));
        revisions.push(lab.laptop(&["git", "rev-parse", "HEAD"]).stdout.trim().to_owned());
    }
    let begin =
        |revision: &String| lab.pushing(&["vm2", "--rev", revision, "--wait", "5m", "--force-behind"], &[]);
    let pushes: Vec<_> = revisions.iter().map(begin).collect();
    for push in pushes {
        Pushed(push.wait(300)).expect(0).vm_is("vm2", "deployed", 0);
    }
    let deployed: Vec<_> =
        lab.ledger().into_iter().filter(|e| e["vm"] == "vm2" && e["result"] == "deployed").collect();
    let mut came: Vec<_> = deployed.iter().skip(1).map(|e| e["revision"].as_str().unwrap()).collect();
    came.sort_unstable();
    revisions.sort_unstable();
    assert_eq!(came, revisions, "each of them once");
    lab.tidy();
}
