//! The smaller verbs: check, start, stop, restart, retire, pin.

use crate::harness::{HYPERVISOR, Lab, Pushed};

fn verb(lab: &Lab, args: &[&str]) -> Pushed {
    Pushed(lab.laptop(&[&["deployvm"], args, &["-H", HYPERVISOR, "--yes", "--json"]].concat()))
}

#[test]
fn checks_alone_change_nothing() {
    let lab = Lab::deployed(&[]);
    let check = "[vms.vm2.checks.web]\nhttp = \"http://10.2.0.2/\"\nfrom = [\"laptop\", \"hypervisor\"]\nwithin = 2\n";
    lab.write("deployvm.toml", check);
    let before = (lab.vm("vm1"), lab.vm("vm2"), lab.transactions());
    let said = verb(&lab, &["check"]).expect(0);
    let checks = said.vm("vm2")["checks"].to_string();
    for place in ["laptop", "hypervisor"] {
        assert!(checks.contains(&format!(r#""from":"{place}""#)), "{checks}");
    }
    lab.write("deployvm.toml", &format!("{check}body = \"version 9\"\n"));
    verb(&lab, &["check", "vm2"]).expect(32);
    // A refusal that is one, and one that is not.
    let jail = |port| format!("[vms.vm2.checks.jail]\ntcp = \"10.2.0.2:{port}\"\nexpect = \"refused\"\n");
    lab.write("deployvm.toml", &jail(81));
    verb(&lab, &["check", "vm2"]).expect(0);
    lab.write("deployvm.toml", &jail(80));
    verb(&lab, &["check", "vm2"]).expect(32);
    assert_eq!((lab.vm("vm1"), lab.vm("vm2"), lab.transactions()), before);
}

#[test]
fn checks_from_inside_a_guest() {
    let lab = Lab::deployed(&[]);
    let check =
        |name: &str, words: &str| format!("[vms.vm1.checks.{name}]\nfrom = [\"vm\"]\nwithin = 3\n{words}\n");
    let good = [
        check("gateway", "ping = \"10.1.0.1\""),
        check("web", "http = \"http://127.0.0.1/\""),
        check("jail", "tcp = \"10.2.0.2:80\"\nexpect = \"refused\""),
        check("app", "exec = [\"test\", \"-e\", \"/etc/lab.conf\"]"),
    ];
    lab.write("deployvm.toml", &good.concat());
    let said = verb(&lab, &["check", "vm1"]).expect(0);
    let checks = said.vm("vm1")["checks"].clone();
    for name in ["gateway", "web", "jail", "app"] {
        let found = checks.as_array().unwrap().iter().find(|c| c["name"] == name);
        assert!(found.is_some_and(|c| c["from"] == "vm" && c["ok"] == true), "{name}: {checks}");
    }
    // It would let the guest through: found out, and the change is undone.
    let old = lab.vm("vm1");
    lab.write("deployvm.toml", &check("jail", "tcp = \"10.1.0.1:22\"\nexpect = \"refused\""));
    lab.edit_vm("vm1", r#"version = "2";"#);
    let pushed = lab.push(&["vm1"]).expect(31);
    assert_eq!(pushed.vm_is("vm1", "rolled-back", 31)["reason"], "laptop-check-failed");
    lab.answers("vm1", "vm1 version 1");
    lab.vm("vm1").runs(&lab, old.booted.as_ref().unwrap());
    lab.tidy();
}

#[test]
fn stop_start_and_restart() {
    let lab = Lab::deployed(&[]);
    let (old, other) = (lab.vm("vm2"), lab.vm("vm1"));
    verb(&lab, &["stop", "vm2"]).expect(0);
    let stopped = lab.vm("vm2");
    assert_eq!((stopped.active.as_str(), stopped.pid), ("inactive", 0));
    assert!(lab.http("vm2").is_err());
    let journal = lab.hv("journalctl -q -o cat --no-pager -u microvm@vm2").stdout;
    assert!(journal.contains("vm2: powering off"), "{journal}");
    verb(&lab, &["start", "vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    let started = lab.vm("vm2");
    started.runs(&lab, old.booted.as_ref().unwrap());
    verb(&lab, &["restart", "vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    assert_ne!(lab.vm("vm2").pid, started.pid);
    assert_eq!(lab.vm("vm2").generations, old.generations);
    assert_eq!(lab.vm("vm1"), other);
    lab.tidy();
}

#[test]
fn retire_keeps_the_volume() {
    let lab = Lab::deployed(&[]);
    assert_eq!(verb(&lab, &["retire", "vm1"]).0.code, 12, "the flake still has it");
    lab.answers("vm1", "vm1 version 1");
    lab.laptop(&["git", "rm", "-q", "vms/vm1.nix"]).expect(0);
    lab.commit();
    verb(&lab, &["retire", "vm1"]).expect(0);
    let gone = lab.vm("vm1");
    assert_eq!((&gone.current, &gone.booted, gone.pid), (&None, &None, 0), "{gone:#?}");
    assert!(gone.files.contains(&"vm1-data.img".to_owned()), "{gone:#?}");
    assert_eq!(lab.hv("ls /nix/var/nix/gcroots/microvm/*vm1 2>/dev/null || :").stdout, "");
    assert!(lab.http("vm1").is_err());
    lab.answers("vm2", "vm2 version 1");
    lab.tidy();
    // It may come again, with its data.
    lab.laptop(&["git", "revert", "--no-edit", "HEAD"]).expect(0);
    lab.push(&["vm1"]).expect(0);
    lab.answers("vm1", "vm1 version 1");
    assert_eq!(lab.reads("vm1", "boots"), "2");
}
