//! Somebody stages another runner by hand in the middle of a switch: that is never
//! overwritten.

use crate::faults::gate::{self, Place::Hypervisor, Step};
use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::Running;

/// An undo asks the new guest to shut down.
const UNDO: Step = gate::step("undo", Hypervisor, "setpriv", "*/microvm-shutdown", "undoing");
/// A check that undoes everything.
const NEVER: &str = "[vms.vm1.checks.never]\ntcp = \"10.1.0.2:9\"\nwithin = 1\n";

/// A lab whose vm1 has run two versions, and the runner of the first.
fn twice() -> (Lab, String) {
    let lab = Lab::deployed(&["--vms", "1"]);
    let theirs = lab.vm("vm1").current.unwrap();
    lab.edit_vm("vm1", r#"version = "2";"#);
    lab.push(&[]).expect(0);
    lab.edit_vm("vm1", r#"version = "3";"#);
    (lab, theirs)
}

impl Lab {
    /// What `microvm -u` does, to another runner.
    fn stages(&self, runner: &str) {
        self.hv(&format!("ln -sfn {runner} /var/lib/microvms/vm1/current")).expect(0);
    }

    /// Pushes vm1 with a check that fails, and stages another runner while the new guest is
    /// shut down again.
    #[track_caller]
    fn stages_during_an_undo(&self, runner: &str) {
        self.write("deployvm.toml", NEVER);
        self.gates();
        let push = self.pushing_up_to(&UNDO, "vm1");
        self.stages(runner);
        self.release(&UNDO);
        let pushed = Pushed(push.wait(200)).expect(40);
        self.has_staged(&pushed, runner);
    }

    #[track_caller]
    fn has_staged(&self, pushed: &Pushed, runner: &str) {
        assert_eq!(pushed.vm("vm1")["reason"], "changed-by-others", "{}", pushed.0);
        assert_eq!(self.vm("vm1").current.as_deref(), Some(runner), "{}", pushed.0);
        assert_eq!(self.last_entry("vm1")["reason"], "changed-by-others");
        self.tidy();
    }
}

#[test]
fn while_the_guest_is_shut_down() {
    let (lab, theirs) = twice();
    lab.gates();
    let stop = gate::named("stop");
    let push = lab.pushing_up_to(stop, "vm1");
    lab.stages(&theirs);
    lab.release(stop);
    let pushed = Pushed(push.wait(200)).expect(40);
    lab.has_staged(&pushed, &theirs);
    assert_eq!(lab.vm("vm1").pid, 0);
    let todo = pushed.vm("vm1")["todo"].to_string();
    assert!(todo.contains("start what is staged: deployvm start vm1"), "{todo}");
}

#[test]
fn before_the_new_runner_has_proved_itself() {
    let (lab, theirs) = twice();
    let before = lab.transactions();
    let push = lab.pushing(&["vm1"], &[("DEPLOYVM_DEFAULTS__SETTLE", "30")]);
    lab.reaches(&before, "booted");
    lab.stages(&theirs);
    let pushed = Pushed(push.wait(200)).expect(40);
    lab.has_staged(&pushed, &theirs);
    lab.answers("vm1", "vm1 version 3");
}

#[test]
fn before_a_shutdown_in_good_order() {
    let (lab, theirs) = twice();
    lab.write("deployvm.toml", "[vms.vm1.checks.never]\ntcp = \"10.1.0.2:9\"\nwithin = 200\n");
    let before = lab.transactions();
    let push = lab.pushing(&["vm1"], &[]);
    lab.reaches(&before, "proven");
    lab.stages(&theirs);
    lab.script("reboot", &[]).expect(0);
    let pushed = Pushed(push.wait(500)).expect(40);
    lab.answers("vm1", "vm1 version 1");
    assert_eq!(lab.vm("vm1").current.as_deref(), Some(theirs.as_str()), "{}", pushed.0);
    assert_eq!(lab.last_entry("vm1")["reason"], "changed-by-others");
    lab.tidy_but("-pending-");
}

#[test]
fn while_an_undo_shuts_the_new_guest_down() {
    let (lab, theirs) = twice();
    lab.stages_during_an_undo(&theirs);
    assert_eq!(lab.vm("vm1").pid, 0, "nobody starts what is theirs to start");
}

#[test]
fn while_a_first_deployment_is_undone() {
    let lab = Lab::up(&[]);
    lab.push(&["vm2"]).expect(0);
    let theirs = lab.vm("vm2").current.unwrap();
    lab.stages_during_an_undo(&theirs);
}

#[test]
fn while_it_is_shut_down_to_be_retired() {
    let lab = Lab::deployed(&[]);
    let theirs = lab.vm("vm2").current.unwrap();
    lab.laptop(&["git", "rm", "-q", "vms/vm1.nix"]).expect(0);
    lab.commit();
    lab.gates();
    let (old, stop) = (lab.vm("vm1"), gate::named("stop"));
    lab.arm(stop);
    let argv = ["deployvm", "retire", "vm1", "-H", HYPERVISOR, "--yes", "--json"];
    let retire = Running::start(lab.command(&argv), false);
    lab.arrives(stop, || Ok(()));
    lab.stages(&theirs);
    lab.release(stop);
    let retired = Pushed(retire.wait(200)).expect(32);
    lab.has_staged(&retired, &theirs);
    assert_eq!(lab.vm("vm1").generations, old.generations);
}
