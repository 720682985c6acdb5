//! A change that moves the hypervisor to another address, on purpose.

use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::Running;

const NEW: [&str; 2] = ["--confirm-from", "10.99.0.3"];

#[test]
fn the_verdict_comes_from_the_new_address() {
    let lab = Lab::deployed(&[]);
    let old = lab.vm("vm2");
    lab.edit_vm("vm2", r#"version = "2";"#);
    // A mistake: nobody is there.
    let pushed =
        lab.push_with(&[&["vm2"][..], &NEW].concat(), &[("DEPLOYVM_DEFAULTS__VERDICT", "20")]).expect(30);
    assert_eq!(pushed.vm_is("vm2", "rolled-back", 30)["reason"], "no-verdict");
    pushed.0.says("the verdict could not be handed in: cannot reach 10.99.0.3");
    lab.answers("vm2", "vm2 version 1");
    lab.vm("vm2").runs(&lab, old.booted.as_ref().unwrap());

    // Somebody is there, whose host key nobody knows under this address.
    lab.hv("ip address add 10.99.0.3/24 dev hv0").expect(0);
    let pushed = lab.push_with(&[&["vm2"][..], &NEW].concat(), &[]).expect(30);
    assert_eq!(pushed.vm_is("vm2", "rolled-back", 30)["reason"], "no-verdict");
    pushed.0.says("the host key of 10.99.0.3 is not known");
    lab.answers("vm2", "vm2 version 1");

    // The hypervisor moves there in the middle of the trial.
    lab.hv("ip address del 10.99.0.3/24 dev hv0").expect(0);
    let file = lab.dir.join("home/.ssh/known_hosts");
    let known = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, known.replace("10.99.0.2,hv", "10.99.0.2,10.99.0.3,hv")).unwrap();
    let before = lab.transactions();
    let push = lab.pushing(&[&["vm2"][..], &NEW].concat(), &[("DEPLOYVM_DEFAULTS__VERDICT", "150")]);
    lab.reaches(&before, "started");
    lab.hv("ip address del 10.99.0.2/24 dev hv0; ip address add 10.99.0.3/24 dev hv0").expect(0);
    let pushed = Pushed(push.wait(250)).expect(0);
    let said = pushed.vm_is("vm2", "deployed", 0);
    lab.hv("ip address add 10.99.0.2/24 dev hv0").expect(0);
    lab.answers("vm2", "vm2 version 2");
    lab.vm("vm2").runs(&lab, said["to"].as_str().unwrap());
    lab.tidy();

    // A rollback moves it as well.
    lab.hv("ip address flush dev hv0 scope global; ip address add 10.99.0.2/24 dev hv0").expect(0);
    let before = lab.transactions();
    let argv = ["deployvm", "rollback", "vm2", "-H", HYPERVISOR, "--yes", "--json"];
    let mut command = lab.command(&[&argv[..], &NEW].concat());
    // Defaults are not asked: a generation brings along what it was deployed with.
    command.env("DEPLOYVM_VMS__vm2__VERDICT", "150");
    let back = Running::start(command, false);
    lab.reaches(&before, "started");
    lab.hv("ip address del 10.99.0.2/24 dev hv0; ip address add 10.99.0.3/24 dev hv0").expect(0);
    let said = Pushed(back.wait(250)).expect(0).vm_is("vm2", "deployed", 0);
    assert_eq!((said["generation"].as_u64(), said["to"].as_str()), (Some(1), old.booted.as_deref()));
    lab.hv("ip address add 10.99.0.2/24 dev hv0").expect(0);
    lab.answers("vm2", "vm2 version 1");
    lab.vm("vm2").runs(&lab, old.booted.as_ref().unwrap());
    lab.tidy();
}
