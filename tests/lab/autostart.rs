//! VMs that the hypervisor does not start when it boots: it is said before that matters.

use serde_json::Value;

use crate::harness::{HYPERVISOR, Lab};

/// The one object that a command printed.
#[track_caller]
fn object(lab: &Lab, args: &[&str]) -> Value {
    let said = lab.laptop(&[&["deployvm"], args, &["-H", HYPERVISOR, "--json"]].concat()).expect(0);
    serde_json::from_str(said.stdout.trim()).unwrap_or_else(|e| panic!("{e}\n{said}"))
}

/// The plan's notes that are about the hypervisor's boot, VM by VM.
fn noted(lab: &Lab) -> [Vec<String>; 2] {
    let plan = object(lab, &["plan"]);
    let moves = plan["moves"].as_array().unwrap();
    ["vm1", "vm2"].map(|vm| {
        let mine = moves.iter().find(|m| m["vm"] == vm).unwrap_or_else(|| panic!("no {vm}: {plan}"));
        let notes = mine["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap().to_owned());
        notes.filter(|note| note.contains("at boot")).collect()
    })
}

#[test]
fn what_will_not_come_back_after_a_reboot() {
    let lab = Lab::up(&[]);
    // As without it in `microvm.autostart`.
    lab.hv("rm /etc/systemd/system/microvms.target.wants/microvm@vm2.service; systemctl daemon-reload")
        .expect(0);
    let new = "the hypervisor will not start it at boot: for that, add \"vm2\" to microvm.autostart in its configuration";
    assert_eq!(noted(&lab), [vec![], vec![new.to_owned()]], "before they are there");
    lab.push(&[]).expect(0);

    lab.change_vm("vm1", r#"version = "2";"#);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let there = "the hypervisor does not start it at boot";
    assert_eq!(noted(&lab), [vec![], vec![there.to_owned()]]);
    let status = object(&lab, &["status"]);
    for (index, (vm, starts)) in [("vm1", true), ("vm2", false)].into_iter().enumerate() {
        let said = &status["vms"][index];
        assert_eq!((&said["name"], &said["autostart"]), (&vm.into(), &starts.into()), "{said}");
        let remarked = said["notes"].as_array().unwrap().iter().any(|note| *note == there);
        assert_eq!(remarked, !starts, "{said}");
    }

    // It is as they said.
    lab.script("reboot", &[]).expect(0);
    lab.answers("vm1", "vm1 version 1");
    let (one, two) = (lab.vm("vm1"), lab.vm("vm2"));
    assert_eq!((one.active.as_str(), two.active.as_str(), two.pid), ("active", "inactive", 0));
    let status = object(&lab, &["status", "vm2"]);
    assert_eq!(
        (&status["vms"][0]["state"], &status["vms"][0]["autostart"]),
        (&"stopped".into(), &false.into())
    );
}
