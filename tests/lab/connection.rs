//! The one connection to the hypervisor.

use std::path::PathBuf;

use crate::faults::gate;
use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::interrupted::CUT;
use crate::running::{Running, until};

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

/// A check of vm2 from the laptop, at hand: it passes while a file is there, and notes in
/// another that it was asked.
struct AtHand {
    passes: PathBuf,
    asked: PathBuf,
}

impl AtHand {
    fn declare(lab: &Lab, more: &str) -> Self {
        let at_hand = Self { passes: lab.dir.join("passes"), asked: lab.dir.join("asked") };
        let (passes, asked) = (at_hand.passes.display(), at_hand.asked.display());
        let script = format!("echo >>{asked}; test -e {passes}");
        let says = format!("exec = [\"sh\", \"-c\", \"{script}\"]\nfrom = [\"laptop\"]\nwithin = 5");
        lab.write("deployvm.toml", &format!("{more}[vms.vm2.checks.hand]\n{says}\n"));
        at_hand
    }

    /// Passes from now on, or fails, and was not asked yet.
    fn now(&self, passes: bool) {
        let _ = std::fs::remove_file(&self.asked);
        match passes {
            true => std::fs::write(&self.passes, "").unwrap(),
            // It may be gone already.
            false => drop(std::fs::remove_file(&self.passes)),
        }
    }

    fn is_asked(&self) {
        until("the check is asked", 90, || self.asked.metadata().map_err(|e| e.to_string()));
    }
}

#[test]
fn a_line_that_drops_is_no_vm_that_fails() {
    let lab = Lab::deployed(&[]);
    let check = AtHand::declare(&lab, "[vms.vm2]\nafter = [\"vm1\"]\n");
    check.now(false);
    let argv = ["deployvm", "check", "-H", HYPERVISOR, "--json"];
    let checking = Running::start(lab.command(&argv), false);
    check.is_asked();
    lab.script("link", &["down"]).expect(0);
    let said = Pushed(checking.wait(150)).expect(11);
    said.0.says("the connection was lost while vm2 was checked, after 1 of 2 VMs");
    let ended = said.events("done").iter().map(|event| event["vm"]["name"].clone()).collect::<Vec<_>>();
    assert_eq!(ended, ["vm1"], "{}", said.0);
    lab.script("link", &["up"]).expect(0);
    // With the line, it is that VM.
    let said = Pushed(lab.laptop(&argv)).expect(32);
    assert_eq!(said.vm_is("vm2", "failed", 32)["reason"], "check-failed");
}

#[test]
fn after_an_undo_a_line_that_drops_is_nothing_against_it() {
    let lab = Lab::deployed(&[]);
    let check = AtHand::declare(&lab, "");
    lab.edit_vm("vm2", "version = \"2\"; fault = \"exit\";");
    for comes_back in [false, true] {
        check.now(true);
        let before = lab.transactions();
        let push = lab.pushing(&["vm2"], &[]);
        lab.reaches(&before, "flipped");
        // The undo is good, and here something fails at first.
        check.now(false);
        check.is_asked();
        lab.script("link", &["down"]).expect(0);
        if comes_back {
            until("it connects again", 90, || {
                let said = push.stdout();
                if said.contains("connecting again") { Ok(()) } else { Err(said) }
            });
            check.now(true);
            lab.script("link", &["up"]).expect(0);
        }
        let pushed = Pushed(push.wait(150)).expect(30);
        let detail = pushed.vm_is("vm2", "rolled-back", 30)["detail"].to_string();
        assert_eq!(detail.contains("is not known: hand from laptop"), !comes_back, "{detail}");
        lab.script("link", &["up"]).expect(0);
        lab.answers("vm2", "vm2 version 1");
    }
}
