//! What a user can choose, and the order of things.

use crate::faults::gate;
use crate::harness::Lab;

#[test]
fn no_restart_stages_and_the_next_push_restarts() {
    let lab = Lab::deployed(&[]);
    let old = lab.vm("vm2");
    lab.edit_vm("vm2", r#"version = "2";"#);
    let pushed = lab.push(&["--no-restart"]).expect(0);
    let said = pushed.vm_is("vm2", "staged", 0);
    let plan = &pushed.events("plan")[0];
    let note = "the next start, or crash, of this VM boots this generation";
    assert!(plan["moves"].to_string().contains(note), "{plan}");
    let staged = lab.vm("vm2");
    assert_eq!((staged.pid, &staged.booted), (old.pid, &old.booted));
    assert_eq!(staged.current.as_deref(), said["to"].as_str());
    assert_eq!(staged.generation, Some(2));
    assert_eq!(lab.reads("vm2", ""), "vm2 version 1");
    assert_eq!(lab.last_entry("vm2")["result"], "staged");
    lab.tidy();
    // Once more: there is nothing to do.
    lab.push(&["--no-restart"]).expect(0).vm_is("vm2", "unchanged", 0);
    assert_eq!(lab.vm("vm2"), staged);

    let said = lab.push(&[]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");
    let new = lab.vm("vm2");
    new.runs(&lab, said["to"].as_str().unwrap());
    assert_eq!((new.generation, new.generations.len()), (Some(2), 2));
}

#[test]
fn what_is_stopped_stays_stopped_unless_started() {
    let lab = Lab::deployed(&[]);
    lab.hv("systemctl stop microvm@vm2").expect(0);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let said = lab.push(&[]).expect(0).vm_is("vm2", "staged", 0);
    let there = lab.vm("vm2");
    assert_eq!((there.active.as_str(), there.pid, &there.booted), ("inactive", 0, &None));
    assert_eq!(there.current.as_deref(), said["to"].as_str());
    assert!(lab.http("vm2").is_err());

    let said = lab.push(&["--start"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");
    lab.vm("vm2").runs(&lab, said["to"].as_str().unwrap());
    lab.tidy();
}

#[test]
fn more_memory_is_a_restart() {
    let lab = Lab::deployed(&[]);
    let old = lab.vm("vm2");
    lab.edit_vm("vm2", "mem = 112;");
    lab.push(&[]).expect(0).vm_is("vm2", "deployed", 0);
    let new = lab.vm("vm2");
    assert_ne!(new.pid, old.pid);
    assert!(new.arguments.contains(" -m 112 "), "{new:#?}");
    lab.answers("vm2", "vm2 version 1");
}

#[test]
fn the_line_stops_at_the_first_failure() {
    let lab = Lab::deployed(&["--vms", "3"]);
    let old = [lab.vm("vm1"), lab.vm("vm2"), lab.vm("vm3")];
    // Not in the order of names.
    lab.write("deployvm.toml", "[vms.vm1]\nafter = [\"vm2\"]\n[vms.vm2]\nafter = [\"vm3\"]\n");
    lab.change_vm("vm1", r#"version = "2";"#);
    lab.change_vm("vm2", r#"version = "2"; fault = "exit";"#);
    lab.edit_vm("vm3", r#"version = "2";"#);
    let pushed = lab.push(&[]).expect(30);
    pushed.vm_is("vm3", "deployed", 0);
    pushed.vm_is("vm2", "rolled-back", 30);
    pushed.vm_is("vm1", "skipped", 13);
    lab.answers("vm3", "vm3 version 2");
    lab.answers("vm2", "vm2 version 1");
    assert_eq!(lab.vm("vm1"), old[0]);
    lab.vm("vm2").runs(&lab, old[1].booted.as_ref().unwrap());
    assert_eq!(lab.vm("vm3").generation, Some(2));
    lab.tidy();
}

#[test]
fn two_at_a_time() {
    let lab = Lab::deployed(&[]);
    let before = lab.transactions();
    lab.change_vm("vm1", r#"version = "2";"#);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let pushed = lab.push(&["-j", "2"]).expect(0);
    for vm in ["vm1", "vm2"] {
        let said = pushed.vm_is(vm, "deployed", 0);
        lab.vm(vm).runs(&lab, said["to"].as_str().unwrap());
        lab.answers(vm, &format!("{vm} version 2"));
    }
    // Each began before the other ended.
    let time = |id: &String, file: &str| {
        let path = lab.disk(&format!("/var/lib/deployvm/transactions/{id}/{file}"));
        std::fs::metadata(path).unwrap().modified().unwrap()
    };
    let new: Vec<String> = lab.transactions().into_iter().filter(|id| !before.contains(id)).collect();
    let [one, two] = new.as_slice() else { panic!("{new:?}") };
    assert!(time(one, "p/vm") < time(two, "outcome") && time(two, "p/vm") < time(one, "outcome"));
    lab.tidy();
}

#[test]
fn two_pushes_of_one_vm_do_not_meet() {
    let lab = Lab::deployed(&[]);
    let before = lab.transactions();
    lab.edit_vm("vm2", r#"version = "2";"#);
    lab.gates();
    let record = gate::named("record");
    let first = lab.pushing_up_to(record, "vm2");
    let second = lab.push(&["vm2"]).expect(12);
    let said = second.vm_is("vm2", "refused", 12);
    // Who holds it, since when, and what for.
    let detail = said["detail"].as_str().unwrap();
    assert!(detail.contains("locked by root@") && detail.contains("push vm2"), "{detail}");
    lab.release(record);
    let first = crate::harness::Pushed(first.wait(120)).expect(0);
    let said = first.vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");
    lab.vm("vm2").runs(&lab, said["to"].as_str().unwrap());
    assert_eq!(lab.transactions().len(), before.len() + 1);
    lab.tidy();
}
