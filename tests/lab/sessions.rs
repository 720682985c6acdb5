//! An sshd that lets one connection have few sessions at a time: ten, if nobody says
//! otherwise, where the lab allows a hundred.

use crate::harness::Lab;

/// `lab.conf` allows many; what is read first counts.
fn sessions(lab: &Lab, most: u32) {
    lab.hv(&format!("echo 'MaxSessions {most}' >/etc/ssh/sshd_config.d/00-few.conf; systemctl restart ssh"))
        .expect(0);
    let said = lab.hv("sshd -T | grep ^maxsessions").expect(0).stdout;
    assert_eq!(said.trim(), format!("maxsessions {most}"));
}

#[test]
fn four_at_once_over_ten_sessions() {
    let lab = Lab::up(&["--vms", "4"]);
    sessions(&lab, 10);
    let pushed = lab.push(&["-j", "4"]).expect(0);
    for vm in lab.vms() {
        pushed.vm_is(&vm, "deployed", 0);
        lab.answers(&vm, &format!("{vm} version 1"));
    }
    assert!(pushed.events("warning").is_empty(), "no connection was lost\n{}", pushed.0);
    lab.tidy();
}

#[test]
fn two_at_once_over_two_sessions() {
    let lab = Lab::deployed(&[]);
    sessions(&lab, 2);
    lab.change_vm("vm1", r#"version = "2";"#);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let pushed = lab.push(&["-j", "2"]).expect(0);
    for vm in ["vm1", "vm2"] {
        pushed.vm_is(vm, "deployed", 0);
        lab.answers(vm, &format!("{vm} version 2"));
    }
    lab.tidy();
}
