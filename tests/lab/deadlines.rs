//! Deadlines of single VMs: what the laptop reads is what the hypervisor goes by.

use crate::harness::{DEADLINES, HYPERVISOR, Lab, Pushed};
use crate::running::Running;

/// Deadlines as the transaction of a VM has them: settle, boot, verdict, and of each check.
fn of(lab: &Lab, pushed: &Pushed, vm: &str) -> (Vec<String>, Vec<String>) {
    let said = pushed.vm(vm);
    let id = said["transaction"].as_str().unwrap();
    let read = |name: &str| lab.transaction_file(id, name);
    let own = ["p/settle", "p/boot", "p/verdict"].map(|name| read(name).unwrap());
    let checks = (0..100).map_while(|n| read(&format!("c/{n:02}/within")));
    (own.to_vec(), checks.collect())
}

#[test]
fn each_vm_has_its_own() {
    let lab = Lab::up(&[]);
    // Without checks from elsewhere, whose time would come on top of the verdict's.
    lab.change_vm("vm1", "ssh = false;");
    lab.write("deployvm.toml", "[vms.vm1]\nsettle = 2\nboot = 77\nwithin = 11\nverdict = 41\n");
    lab.commit();
    let mut command = lab.command(&["deployvm", "push", "-H", HYPERVISOR, "--yes", "--json"]);
    for (name, _) in DEADLINES {
        command.env_remove(name);
    }
    let pushed = Pushed(Running::start(command, false).wait(300)).expect(0);
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    assert_eq!(of(&lab, &pushed, "vm1"), (words(&["2", "77", "41"]), words(&["11"])));
    assert_eq!(of(&lab, &pushed, "vm2"), (words(&["3", "60", "30"]), words(&["30"])), "the defaults");

    // And it is gone by: a guest without an address is given up long before the others'.
    lab.answers("vm1", "vm1 version 1");
    let old = lab.vm("vm1");
    lab.write("deployvm.toml", "[vms.vm1]\nboot = 15\n");
    lab.edit_vm("vm1", r#"version = "2"; fault = "mute";"#);
    let pushed = lab.push_with(&["vm1"], &[("DEPLOYVM_DEFAULTS__BOOT", "200")]).expect(31);
    assert_eq!(pushed.vm_is("vm1", "rolled-back", 31)["reason"], "no-answer");
    let entry = lab.last_entry("vm1");
    assert!(entry["durations"]["total"].as_u64().unwrap() < 150_000, "{entry}");
    lab.answers("vm1", "vm1 version 1");
    lab.vm("vm1").runs(&lab, old.booted.as_ref().unwrap());
    lab.tidy();
}
