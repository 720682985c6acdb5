//! A VM on a terminal: seen there, left in every way, and put back as it was.

use crate::faults::gate;
use crate::harness::{HYPERVISOR, Lab};
use crate::running::{Running, until};

impl Lab {
    fn on_terminal(&self, more: &str) -> Running {
        let line = format!("exec {} run vm2 -H {HYPERVISOR} --yes {more}", env!("CARGO_BIN_EXE_deployvm"));
        Running::start(self.command(&["script", "-q", "-e", "-c", &line, "/dev/null"]), true)
    }

    /// Waits until the guest has booted on the terminal.
    fn booted_on(&self, terminal: &Running) {
        says(terminal, "vm2: ready");
        self.answers("vm2", "vm2 version 1");
        assert!(
            self.hv("ls /run/systemd/system/microvm@vm2.service.d").expect(0).stdout.contains("deployvm")
        );
    }

    /// As before: run by its unit and by nothing else, and nothing is left.
    #[track_caller]
    fn is_back(&self, runner: &str, result: &str) {
        self.answers("vm2", "vm2 version 1");
        self.tidy();
        self.vm("vm2").runs(self, runner);
        let entry = self.last_entry("vm2");
        assert_eq!((&entry["verb"], &entry["result"]), (&"run".into(), &result.into()), "{entry:#}");
        let left = self.hv("ls /run/systemd/system | grep microvm@vm2 || :; systemctl show -p Restart -p StandardInput microvm@vm2");
        assert_eq!(
            left.expect(0).stdout.lines().collect::<Vec<_>>(),
            ["Restart=always", "StandardInput=null"]
        );
    }

    /// Waits until the unit has no terminal any more, which nobody here may be told.
    #[track_caller]
    fn is_taken_back(&self) {
        until("the unit is back", 150, || {
            let left = self.hv("ls /run/systemd/system | grep microvm@vm2 || :").stdout;
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    }

    /// Without any way for it to say something.
    fn kill_deployvm(&self) {
        assert!(self.kill_on_laptop("deployvm") > 0);
    }

    fn power_button(&self) {
        self.hv("cd /var/lib/microvms/vm2 && setpriv --reuid=microvm --regid=kvm --init-groups booted/bin/microvm-shutdown </dev/null").expect(0);
    }
}

#[track_caller]
fn says(terminal: &Running, text: &str) {
    until(&format!("the terminal says {text:?}"), 150, || match terminal.said() {
        said if said.contains(text) => Ok(()),
        said => Err(said),
    });
}

#[test]
fn a_vm_on_a_terminal() {
    let lab = Lab::up(&[]);
    lab.push(&["vm2"]).expect(0);
    let before = lab.vm("vm2");
    let runner = before.booted.clone().unwrap();
    let refused = lab.laptop(&["deployvm", "run", "vm2", "-H", HYPERVISOR, "--yes"]).expect(2);
    refused.says("there is no terminal").says("deployvm console VM");
    assert_eq!(lab.vm("vm2"), before);

    // Until the guest powers off. Ctrl-C is the guest's.
    let mut terminal = lab.on_terminal("");
    lab.booted_on(&terminal);
    let pid = lab.vm("vm2").pid;
    terminal.types("\u{3}\u{3}");
    let pushed = lab.push(&["vm2"]);
    assert!(pushed.0.said().contains("run vm2"), "{}", pushed.0);
    let restarted = lab.laptop(&["deployvm", "restart", "vm2", "-H", HYPERVISOR, "--yes"]).expect(12);
    restarted.says("locked by").says(": run vm2");
    assert_eq!(lab.vm("vm2").pid, pid);
    lab.power_button();
    says(&terminal, "vm2: powering off");
    let said = terminal.wait(150).expect(0);
    said.says("every key goes to vm2").says("its unit is as it was before");
    lab.is_back(&runner, "done");
    assert_ne!(lab.vm("vm2").pid, pid);

    // Until its user leaves: the guest is shut down, not cut off.
    let mut terminal = lab.on_terminal("");
    lab.booted_on(&terminal);
    terminal.types("\r~.");
    terminal.wait(150).expect(0);
    lab.is_back(&runner, "done");

    // Nobody is left who could say anything: what lends the terminal and what tells go on
    // as little as deployvm itself.
    let terminal = lab.on_terminal("");
    lab.booted_on(&terminal);
    lab.kill_deployvm();
    lab.is_taken_back();
    lab.is_back(&runner, "done");
    drop(terminal.wait(30));
    let status = lab.laptop(&["deployvm", "status", "vm2", "-H", HYPERVISOR, "--no-eval"]).expect(0);
    status.says("was interrupted, and ended by itself: what was asked for was done");

    // The line is dead, and nobody tells anybody.
    let terminal = lab.on_terminal("");
    lab.booted_on(&terminal);
    lab.script("link", &["down"]).expect(0);
    lab.is_taken_back();
    says(&terminal, "the connection was lost; asking how it ended");
    lab.script("link", &["up"]).expect(0);
    terminal.wait(150).expect(0).says("its unit is as it was before");
    lab.is_back(&runner, "done");

    // What watches over it is killed: its guard puts the unit back.
    let terminal = lab.on_terminal("");
    lab.booted_on(&terminal);
    lab.hv("systemctl kill -s KILL 'deployvm-run-vm2-*.service'").expect(0);
    terminal.wait(150).expect(30);
    lab.is_back(&runner, "rolled-back");

    // The hypervisor is rebooted: what is left is ended by the next command.
    let terminal = lab.on_terminal("");
    lab.booted_on(&terminal);
    lab.script("reboot", &[]).expect(0);
    terminal.wait(150).expect(30);
    lab.is_back(&runner, "rolled-back");

    // Ctrl-C before the VM has the terminal: it is not booted on it first.
    lab.gates();
    let stop = gate::named("stop");
    lab.arm(stop);
    let before = lab.transactions();
    let mut terminal = lab.on_terminal("");
    lab.arrives(stop, || Ok(()));
    let id = lab.reaches(&before, "stopping");
    terminal.types("\u{3}");
    until("Ctrl-C has come there", 60, || match lab.transaction_file(&id, "detach") {
        Some(_) => Ok(()),
        None => Err(terminal.said()),
    });
    lab.release(stop);
    let said = terminal.wait(150).expect(0);
    assert!(!said.said().contains("vm2: booting"), "{said}");
    lab.is_back(&runner, "done");

    // Somebody else works on it.
    lab.arm(stop);
    let restart = ["deployvm", "restart", "vm2", "-H", HYPERVISOR, "--yes"];
    let restart = Running::start(lab.command(&restart), false);
    lab.arrives(stop, || Ok(()));
    lab.on_terminal("").wait(150).expect(12).says("locked by").says("restart vm2");
    lab.release(stop);
    restart.wait(150).expect(0);
    assert_eq!(lab.last_entry("vm2")["verb"], "restart");

    // What was stopped is stopped again, also when nobody is left.
    lab.laptop(&["deployvm", "stop", "vm2", "-H", HYPERVISOR, "--yes"]).expect(0);
    for killed in [false, true] {
        let terminal = lab.on_terminal("");
        lab.booted_on(&terminal);
        if killed {
            lab.kill_deployvm();
            lab.is_taken_back();
            drop(terminal.wait(30));
        } else {
            lab.power_button();
            terminal.wait(150).expect(0);
        }
        lab.tidy();
        let stopped = lab.vm("vm2");
        assert_eq!((stopped.active.as_str(), stopped.pid), ("inactive", 0), "{stopped:#?}");
    }
}
