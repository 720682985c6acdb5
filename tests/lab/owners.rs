//! Owners and modes below microvm.nix's state directory stay as they are, whatever a
//! deployment does and however it ends.

use std::collections::BTreeSet;

use crate::harness::{HYPERVISOR, Lab};

/// Every file with its type, owner and mode, and but for links, which are renamed into
/// place, its inode: a file that was copied is another. Sockets are QEMU's.
fn record(lab: &Lab) -> BTreeSet<String> {
    let text = "cd /var/lib/microvms
        find . ! -type s ! -type l -printf '%p %y %U:%G %m %i\\n'
        find . -type l -printf '%p %y %U:%G %m\\n'";
    lab.hv(text).expect(0).stdout.lines().map(str::to_owned).collect()
}

#[test]
fn owners_and_modes_are_kept() {
    let lab = Lab::up(&["--vms", "3"]);
    lab.script("install-vm", &["vm1", "vm2"]).expect(0);
    for vm in ["vm1", "vm2"] {
        lab.answers(vm, &format!("{vm} version 1"));
    }
    // As `microvm -c` makes a directory, and as people and other programs leave things.
    lab.hv("cd /var/lib/microvms
        chown root:kvm vm1; chmod 2775 vm1; chown -h root:kvm vm1/current
        echo a >vm1/mine; chown 12345:54321 vm1/mine; chmod 0600 vm1/mine
        mkdir -p vm1/share/deep other; echo b >vm1/share/deep/file; chmod 0711 vm1/share; chmod 4755 vm1/share/deep/file
        chown 12345 other; chmod 1700 other; ln -s /etc/passwd other/link; chown -h 54321 other/link")
        .expect(0);
    let before = record(&lab);
    assert!(before.iter().any(|line| line.starts_with("./vm1/vm1-data.img f ")), "{before:#?}");
    assert!(before.iter().any(|line| line.starts_with("./vm1/mine f 12345:54321 600 ")), "{before:#?}");

    lab.edit_vm("vm1", r#"version = "2";"#);
    lab.push(&["vm1"]).expect(0);
    lab.answers("vm1", "vm1 version 2");
    assert_eq!(record(&lab), before, "a push");

    lab.edit_vm("vm1", r#"version = "3"; fault = "exit";"#);
    lab.push(&["vm1"]).expect(30);
    lab.answers("vm1", "vm1 version 2");
    assert_eq!(record(&lab), before, "a push that was undone");

    lab.edit_vm("vm3", r#"fault = "exit";"#);
    lab.push(&["vm3"]).expect(30);
    assert_eq!(record(&lab), before, "a first push that was undone");

    lab.laptop(&["deployvm", "rollback", "vm1", "-H", HYPERVISOR, "--yes"]).expect(0);
    lab.answers("vm1", "vm1 version 1");
    assert_eq!(record(&lab), before, "a rollback");

    lab.laptop(&["git", "rm", "-q", "vms/vm1.nix"]).expect(0);
    lab.commit();
    lab.laptop(&["deployvm", "retire", "vm1", "-H", HYPERVISOR, "--yes"]).expect(0);
    let gone: Vec<String> = before.difference(&record(&lab)).cloned().collect();
    let names: Vec<&str> = gone.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["./vm1/booted", "./vm1/current", "./vm1/flake"], "a VM that is retired");
    assert!(record(&lab).is_subset(&before), "a VM that is retired");
    lab.tidy();
}
