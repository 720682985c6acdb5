//! The one connection to the hypervisor.

use crate::faults::gate;
use crate::harness::{Lab, Pushed};
use crate::interrupted::CUT;

/// Evaluation and building leave it idle for as long as they like.
#[test]
fn a_long_evaluation_does_not_lose_the_connection() {
    let lab = Lab::deployed(&["--vms", "1"]);
    lab.edit_vm("vm1", r#"version = "2"; evalCost = 6;"#);
    lab.push(&[]).expect(0).vm_is("vm1", "deployed", 0);
    lab.answers("vm1", "vm1 version 2");
}

/// The line is lost during the first switch, and connecting before the second takes long.
#[test]
fn who_stops_while_it_connects_begins_nothing() {
    let lab = Lab::deployed(&[]);
    lab.gates();
    let other = lab.vm("vm2");
    lab.change_vm("vm1", r#"version = "2";"#);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let (commit, connect) = (gate::named("commit"), gate::named("connect"));
    lab.arm(commit);
    let push = lab.pushing(&[], &[("PATH", &lab.gated_path())]);
    lab.arrives(commit, || Ok(()));
    // Once more for the first, ...
    lab.arm(connect);
    lab.hv(CUT).expect(0);
    lab.arrives(connect, || Ok(()));
    lab.release(connect);
    // ... and once for the second.
    lab.arm(connect);
    lab.release(commit);
    lab.arrives(connect, || Ok(()));
    push.signal("TERM");
    let pushed = Pushed(push.wait(60)).expect(13);
    lab.release(connect);
    pushed.vm_is("vm1", "deployed", 0);
    lab.answers("vm1", "vm1 version 2");
    pushed.vm_is("vm2", "skipped", 13);
    assert_eq!(lab.vm("vm2"), other);
    lab.tidy();
}
