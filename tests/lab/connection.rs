//! The one connection to the hypervisor.

use crate::harness::Lab;

/// Evaluation and building leave it idle for as long as they like.
#[test]
fn a_long_evaluation_does_not_lose_the_connection() {
    let lab = Lab::deployed(&["--vms", "1"]);
    lab.edit_vm("vm1", r#"version = "2"; evalCost = 6;"#);
    lab.push(&[]).expect(0).vm_is("vm1", "deployed", 0);
    lab.answers("vm1", "vm1 version 2");
}
