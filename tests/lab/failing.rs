//! VMs that fail: each is back on its previous generation, or absent as before.

use crate::faults::gate;
use crate::harness::{Lab, Pushed};
use crate::running::{Running, until};

/// Declares that vm2 must say that all is well.
const HTTP_CHECK: &str = r#"
[vms.vm2.checks.web]
http = "http://10.2.0.2/"
within = 3
"#;

/// Pushes vm2 with a fault, and expects it to be as before, down to the last link.
#[track_caller]
fn rolls_back(lab: &Lab, fault: &str, exit: i32, reason: &str, console: &str) {
    let (other, old) = (lab.vm("vm1"), lab.vm("vm2"));
    let version = lab.reads("vm2", "");
    lab.edit_vm("vm2", &format!(r#"version = "2-{fault}"; fault = "{fault}";"#));
    // Only "mute" is waited for to the end.
    let boot = if fault == "mute" { "40" } else { "60" };
    let pushed = lab.push_with(&["vm2"], &[("DEPLOYVM_DEFAULTS__BOOT", boot)]).expect(exit);
    let said = pushed.vm_is("vm2", "rolled-back", exit);
    assert_eq!(said["reason"], reason, "{fault}\n{}", pushed.0);

    lab.answers("vm2", &version);
    let new = lab.vm("vm2");
    new.runs(lab, old.booted.as_ref().unwrap());
    assert_eq!((new.generation, &new.generations), (old.generation, &old.generations), "{fault}");
    assert_eq!(lab.vm("vm1"), other, "{fault}: the other VM");
    assert_eq!(new.files, old.files, "{fault}: files in the VM's directory");

    let entry = lab.last_entry("vm2");
    assert_eq!((&entry["result"], &entry["reason"]), (&"rolled-back".into(), &reason.into()), "{fault}");
    assert_eq!((&entry["from"], &entry["to"]), (&said["from"], &said["to"]), "{fault}");
    assert!(entry["generation"].is_null(), "{fault}: {entry}");
    let lines = entry["console"].as_str().unwrap();
    assert!(lines.contains(console), "{fault}: {console:?} is not in the ledger's console:\n{lines}");
    let shown = said["console"].to_string();
    assert!(shown.contains(console), "{fault}: {console:?} is not in the summary's console:\n{shown}");
    lab.tidy();
}

#[test]
fn a_guest_that_does_not_come_up_is_undone() {
    let lab = Lab::deployed(&[]);
    // The end of the trace: the last 30 lines are kept, and it has more.
    rolls_back(&lab, "panic", 30, "process-exited", "</TASK>");
    rolls_back(&lab, "mute", 31, "no-answer", "vm2: has no address");
    // What was wrong is put right, and the next number is the next one.
    lab.edit_vm("vm2", r#"version = "right"; fault = null;"#);
    lab.push(&[]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version right");
    assert_eq!(lab.vm("vm2").generation, Some(2));
}

#[test]
fn a_unit_that_does_not_start_is_undone() {
    let lab = Lab::deployed(&[]);
    rolls_back(&lab, "exit", 30, "process-exited", "vm2: this runner exits at once, on purpose");
    rolls_back(&lab, "tap", 30, "start-failed", "vm2: this tap-up fails, on purpose");
}

#[test]
fn a_failing_check_undoes() {
    let lab = Lab::deployed(&[]);
    lab.write("deployvm.toml", HTTP_CHECK);
    rolls_back(&lab, "http", 31, "check-failed", "vm2: ready");
    lab.write("deployvm.toml", &format!("{HTTP_CHECK}from = [\"laptop\"]\n"));
    rolls_back(&lab, "http", 31, "laptop-check-failed", "vm2: ready");

    // Kept for inspection: it stays, and says so.
    lab.edit_vm("vm2", r#"version = "kept";"#);
    let pushed = lab.push(&["vm2", "--keep-failed"]).expect(32);
    let said = pushed.vm_is("vm2", "failed", 32);
    let there = lab.vm("vm2");
    there.runs(&lab, said["to"].as_str().unwrap());
    assert_eq!(there.generation, Some(2));
    until("vm2 says that it is broken", 60, || match lab.http("vm2") {
        Err(error) if error.contains("500") => Ok(()),
        instead => Err(format!("{instead:?}")),
    });
    lab.tidy();
}

#[test]
fn a_first_deployment_that_fails_leaves_nothing_but_its_volume() {
    let lab = Lab::up(&[]);
    lab.edit_vm("vm1", r#"fault = "panic";"#);
    lab.edit_vm("vm2", r#"fault = "tap";"#);
    for (vm, reason) in [("vm1", "process-exited"), ("vm2", "start-failed")] {
        let said = lab.push(&[vm]).expect(30).vm_is(vm, "failed", 30);
        assert_eq!(said["reason"], reason);
        let there = lab.vm(vm);
        assert_eq!((&there.current, &there.booted, there.pid), (&None, &None, 0), "{there:#?}");
        assert!(there.generations.is_empty() && there.generation.is_none(), "{there:#?}");
        assert_ne!(there.active, "active");
        let roots = lab.hv(&format!("ls /nix/var/nix/gcroots/microvm/*{vm} 2>/dev/null || :"));
        assert_eq!(roots.stdout, "");
        lab.tidy();
    }
    assert_eq!(lab.vm("vm1").files, ["vm1-data.img"]);
    assert_eq!(lab.hv("ls -A /var/lib/microvms").stdout, "vm1\n");

    // The volume is there when the VM works at last.
    lab.hv("printf '%-16s' 41 | dd of=/var/lib/microvms/vm1/vm1-data.img conv=notrunc status=none").expect(0);
    lab.edit_vm("vm1", "fault = null;");
    lab.push(&["vm1"]).expect(0);
    lab.answers("vm1", "vm1 version 1");
    assert_eq!(lab.reads("vm1", "boots"), "42");
}

#[test]
fn what_failed_before_is_excused_unless_it_is_new_or_strict() {
    let lab = Lab::deployed(&[]);
    // Something that vm2 needs, and that is not vm2.
    let listen = lab.command(&["busybox", "nc", "-ll", "-p", "7777", "-e", "true"]);
    let database = Running::start(listen, false);
    let check = "[vms.vm2.checks.database]\ntcp = \"10.99.0.1:7777\"\nwithin = 3\n";
    lab.write("deployvm.toml", check);
    lab.edit_vm("vm2", r#"version = "2";"#);
    lab.push(&["vm2"]).expect(0).vm_is("vm2", "deployed", 0);

    database.signal("KILL");
    database.wait(10);
    lab.edit_vm("vm2", r#"version = "3";"#);
    let said = lab.push(&["vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    let excused = said["checks"].as_array().unwrap().iter().find(|c| c["name"] == "database").unwrap();
    assert_eq!((&excused["ok"], &excused["note"]), (&false.into(), &"failing-before".into()), "{said}");
    lab.answers("vm2", "vm2 version 3");

    lab.edit_vm("vm2", r#"version = "4";"#);
    for strict in
        [format!("{check}strict = true\n"), check.replace("database", "new").replace(":7777", ":7778")]
    {
        lab.write("deployvm.toml", &strict);
        let said = lab.push(&["vm2"]).expect(31).vm_is("vm2", "rolled-back", 31);
        assert_eq!(said["reason"], "check-failed");
        lab.answers("vm2", "vm2 version 3");
        lab.tidy();
    }
    assert_eq!(lab.vm("vm2").generation, Some(3));
}

#[test]
fn a_commit_that_fails_keeps_no_number() {
    let lab = Lab::up(&[]);
    lab.gates();
    let commit = gate::named("commit");
    let spoiled = |args: &[&str]| {
        let before = lab.transactions();
        lab.arm(commit);
        let push = lab.pushing(args, &[]);
        lab.arrives(commit, || Ok(()));
        let id = lab.reaches(&before, "committing");
        // The number is made, and then it cannot be written down that it holds.
        lab.hv(&format!("mkdir /var/lib/deployvm/transactions/{id}/before/committed")).expect(0);
        lab.release(commit);
        Pushed(push.wait(120)).expect(30).vm_is("vm1", "failed", 30);
        lab.tidy();
        lab.vm("vm1")
    };

    // Where nothing was there before, nothing is there again.
    let there = spoiled(&["vm1"]);
    assert_eq!((&there.current, &there.booted, there.pid), (&None, &None, 0), "{there:#?}");
    assert!(there.generations.is_empty() && there.generation.is_none(), "{there:#?}");

    lab.push(&["vm1"]).expect(0);
    let old = lab.vm("vm1");
    lab.edit_vm("vm1", r#"version = "2";"#);
    let there = spoiled(&["--no-restart", "vm1"]);
    there.runs(&lab, old.booted.as_ref().unwrap());
    assert_eq!((there.generation, &there.generations), (old.generation, &old.generations));
}
