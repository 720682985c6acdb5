//! VMs of others: the host's own, those made by hand, and runners of other kinds.

use crate::harness::Lab;

#[test]
fn what_the_host_owns_is_refused_and_the_others_go_on() {
    let lab = Lab::deployed(&[]);
    lab.script("host-owned", &["vm1"]).expect(0);
    let old = lab.vm("vm1");
    lab.change_vm("vm1", r#"version = "2";"#);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let pushed = lab.push(&[]).expect(12);
    let said = pushed.vm_is("vm1", "refused", 12);
    assert!(said["detail"].to_string().contains("owns it"), "{said}");
    pushed.vm_is("vm2", "deployed", 0);
    assert_eq!(lab.vm("vm1"), old);
    assert_eq!(lab.reads("vm1", ""), "vm1 version 1");
    lab.answers("vm2", "vm2 version 2");
    lab.tidy();
}

#[test]
fn what_was_made_by_hand_is_adopted() {
    let lab = Lab::up(&["--by-hand"]);
    lab.script("by-hand", &["vm1", "vm2"]).expect(0);
    lab.edit_vm("vm2", r#"version = "2";"#);
    lab.script("by-hand", &["vm2"]).expect(0);
    let (one, two) = (lab.vm("vm1"), lab.vm("vm2"));
    assert!(two.generations.is_empty(), "{two:#?}");
    let flake = lab.hv("cat /var/lib/microvms/vm2/flake").stdout;

    lab.edit_vm("vm2", r#"version = "3";"#);
    let pushed = lab.push(&[]).expect(0);
    pushed.vm_is("vm1", "unchanged", 0);
    assert_eq!(lab.vm("vm1"), one, "what runs already is left alone");
    let said = pushed.vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 3");
    let new = lab.vm("vm2");
    new.runs(&lab, said["to"].as_str().unwrap());
    assert_eq!(new.generation, Some(2));
    assert_eq!(new.generations.get(&1), two.booted.as_ref());
    let adopted = lab.ledger().into_iter().find(|e| e["verb"] == "adopt").unwrap();
    assert_eq!((&adopted["vm"], &adopted["generation"]), (&"vm2".into(), &1.into()), "{adopted}");
    assert!(adopted["who"].is_null(), "{adopted}");
    assert_eq!(lab.hv("cat /var/lib/microvms/vm2/flake").stdout, flake);

    // The command of that name goes on working on the same VMs.
    lab.laptop(&["git", "push", "-q", "origin", "main"]).expect(0);
    let on = |command: &str| {
        lab.laptop(&["ssh", "root@10.99.0.2", &format!("cd infra && git pull -q && {command}")]).expect(0)
    };
    let listed = on("microvm -l");
    assert!(listed.stdout.contains("vm1") && listed.stdout.contains("vm2"), "{listed}");
    assert!(!listed.stdout.contains("outdated") && !listed.stdout.contains("stale"), "{listed}");
    lab.edit_vm("vm2", r#"version = "4";"#);
    lab.laptop(&["git", "push", "-q", "origin", "main"]).expect(0);
    on("microvm -Ru vm2");
    lab.answers("vm2", "vm2 version 4");

    // And what it did is adopted in its turn.
    lab.edit_vm("vm2", r#"version = "5";"#);
    lab.push(&["vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 5");
    let last = lab.vm("vm2");
    assert_eq!((last.generation, last.generations.len()), (Some(4), 4));
    lab.tidy();
}

#[test]
fn a_store_on_disk_is_no_obstacle() {
    let lab = Lab::up(&[]);
    lab.edit_vm("vm2", "storeOnDisk = true;");
    lab.push(&["vm2"]).expect(0);
    let old = lab.vm("vm2");
    assert_eq!(
        lab.hv("ls /var/lib/microvms/vm2/current/share/microvm").stdout,
        "hypervisor\ntap-interfaces\n"
    );
    lab.edit_vm("vm2", r#"version = "2";"#);
    let said = lab.push(&["vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");
    lab.vm("vm2").runs(&lab, said["to"].as_str().unwrap());
    assert_ne!(lab.vm("vm2").pid, old.pid);
    lab.push(&["vm2"]).expect(0).vm_is("vm2", "unchanged", 0);
    lab.tidy();
}

#[test]
fn guests_are_shut_down_by_themselves() {
    for shutdown in ["waits", "stdin"] {
        let lab = Lab::up(&[]);
        lab.edit_vm("vm1", &format!(r#"shutdown = "{shutdown}";"#));
        lab.push(&["vm1"]).expect(0);
        let old = lab.vm("vm1");
        lab.edit_vm("vm1", r#"version = "2";"#);
        let said = lab.push(&["vm1"]).expect(0).vm_is("vm1", "deployed", 0);
        assert_eq!(said["shutdown"], "clean", "{shutdown}");
        let journal = lab.hv(&format!("journalctl -q -o cat --no-pager _PID={}", old.pid)).expect(0);
        for line in ["vm1: power button pressed, shutting down", "vm1: powering off"] {
            assert!(journal.stdout.contains(line), "{shutdown}: no {line:?}\n{journal}");
        }
        lab.answers("vm1", "vm1 version 2");
        assert_eq!(lab.reads("vm1", "boots"), "2", "the volume stays");
        lab.tidy();
    }
}

#[test]
fn a_hypervisor_whose_programs_lie_as_on_nixos() {
    let lab = Lab::deployed(&["--nixos-paths"]);
    let old = lab.vm("vm2");
    lab.edit_vm("vm2", r#"version = "2"; fault = "exit";"#);
    lab.push(&[]).expect(30).vm_is("vm2", "rolled-back", 30);
    lab.answers("vm2", "vm2 version 1");
    lab.vm("vm2").runs(&lab, old.booted.as_ref().unwrap());
    lab.edit_vm("vm2", "fault = null;");
    let said = lab.push(&[]).expect(0).vm_is("vm2", "deployed", 0);
    assert_eq!(said["shutdown"], "clean");
    lab.answers("vm2", "vm2 version 2");
    lab.vm("vm2").runs(&lab, said["to"].as_str().unwrap());
    lab.tidy();
}
