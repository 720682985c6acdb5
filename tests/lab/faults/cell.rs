//! One cell: a deployment is stopped at a step, the fault is brought about, the rest goes
//! its way; then everything is looked at, and the next push must just work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::{Running, until};

use super::cells::{Cell, Fate, Fault};
use super::ends::{Before, End};
use super::inject::Scene;

/// Short where something is waited for to the end; guests are emulated and have time.
pub const DEADLINES: [(&str, &str); 4] = [
    ("DEPLOYVM_DEFAULTS__SETTLE", "1"),
    ("DEPLOYVM_DEFAULTS__BOOT", "25"),
    ("DEPLOYVM_DEFAULTS__WITHIN", "5"),
    ("DEPLOYVM_DEFAULTS__VERDICT", "5"),
];

/// For cells of which none waits for the end of one, on a machine that is busy.
pub const PATIENT: [(&str, &str); 4] = [
    ("DEPLOYVM_DEFAULTS__SETTLE", "1"),
    ("DEPLOYVM_DEFAULTS__BOOT", "60"),
    ("DEPLOYVM_DEFAULTS__WITHIN", "20"),
    ("DEPLOYVM_DEFAULTS__VERDICT", "5"),
];

const CHECKS: &str = r#"
[vms.vm1.checks.web]
http = "http://10.1.0.2/"
from = ["hypervisor", "laptop"]
"#;

/// A lab in which cells are run, one after another.
pub struct Bench {
    pub lab: Lab,
    pub deadlines: [(&'static str, &'static str); 4],
    /// Versions deployed so far.
    count: u32,
    /// What each runner's guest says, by runner: some runners vanish.
    pub versions: BTreeMap<String, String>,
    /// Transactions that did something, and so have a line in the ledger.
    told: usize,
}

/// What came of a cell.
#[derive(Debug)]
pub struct Report {
    pub ends: [End; 2],
    pub exit: i32,
    /// The last word of the ledger about vm1, when the cell wrote one.
    pub said: String,
}

impl Bench {
    /// Brings a lab up and deploys two generations of two VMs.
    pub fn up(small_disks: bool, deadlines: [(&'static str, &'static str); 4]) -> Self {
        let lab = Lab::up(&[]);
        if small_disks {
            lab.small_disks();
        }
        lab.gates();
        lab.write("deployvm.toml", CHECKS);
        let mut bench = Self { lab, deadlines, count: 0, versions: BTreeMap::new(), told: 0 };
        for _ in 0..2 {
            bench.wish();
            bench.lab.push_with(&[], &deadlines).expect(0);
            bench.note();
        }
        bench.told = bench.lab.transactions().len();
        bench
    }

    /// A new version of both VMs.
    fn wish(&mut self) -> String {
        self.count += 1;
        let version = self.count.to_string();
        for vm in ["vm1", "vm2"] {
            self.lab.change_vm(vm, &format!("version = \"{version}\";"));
        }
        self.lab.commit();
        version
    }

    /// Remembers which runner is which version.
    fn note(&mut self) {
        for vm in ["vm1", "vm2"] {
            let runner = self.lab.vm(vm).booted.unwrap();
            let version = self.lab.version_of(&runner);
            self.versions.insert(runner, version);
        }
    }

    /// Another laptop's flake, with a version of its own.
    fn theirs(&self) {
        let text = "rm -rf ../theirs; cp -a . ../theirs; cd ../theirs
            sed -i 's/version = .*/version = \"theirs-'$1'\";/' vms/vm1.nix vms/vm2.nix
            git commit -qam theirs";
        self.lab.laptop(&["sh", "-ec", text, "sh", &self.count.to_string()]).expect(0);
    }

    /// Runs the verb up to the step, brings the fault about, and waits for what comes.
    /// Panics when something is not as it must be.
    pub fn run(&mut self, cell: &Cell) -> Report {
        let before = Before::look(self);
        let wished = match cell.verb {
            "push" => {
                let version = self.wish();
                [version.clone(), version]
            }
            _ => before.previous(self),
        };
        if matches!(cell.fault, Fault::SameVm | Fault::OtherVm) {
            self.theirs();
        }
        let mut running = self.start(cell);
        let lab = &self.lab;
        lab.arrives(cell.step, || Ok(()));
        let old = before.vms[0].booted.clone().unwrap();
        cell.fault.inject(&Scene { lab, running: &running, old: &old, deadlines: self.deadlines });
        // After a reboot there is nobody at the gate any more.
        lab.release(cell.step);
        if let Some(seconds) = cell.fault.lasts() {
            let end = Instant::now() + Duration::from_secs(seconds);
            while Instant::now() < end && (cell.fault == Fault::LinkBlip || running.goes_on()) {
                std::thread::sleep(Duration::from_millis(50));
            }
            cell.fault.heal(lab);
        }
        let exit = running.wait(300);
        if cell.fault.lasts().is_none() {
            cell.fault.heal(lab);
        }
        self.closed(cell, &before);
        let ends = before.ends(self, &wished);
        let said = before.truth(&self.lab);
        let Fate::Ends(first, second) = cell.fate() else { panic!("{} is not to be run", cell.name()) };
        for (end, wanted) in ends.iter().zip([first, second]) {
            assert!(end.is_one_of(wanted), "{ends:?}, not {first}, {second}\n{exit}");
        }
        let codes = cell.exits(ends.map(End::word));
        assert!(codes.contains(&exit.code), "not one of {codes:?}: {exit}");
        self.next_push(cell);
        self.told += before.done(&self.lab);
        Report { ends, exit: exit.code, said }
    }

    fn start(&self, cell: &Cell) -> Running {
        let vms: &[&str] = match (cell.fault, cell.verb) {
            (Fault::OtherVm, _) => &["vm1"],
            (_, "rollback") => &["vm1", "vm2"],
            _ => &[],
        };
        let argv = [&["deployvm", cell.verb, "-H", HYPERVISOR, "--yes", "--json"], vms].concat();
        let mut command = self.lab.command(&argv);
        command.envs(self.deadlines).env("PATH", self.lab.gated_path());
        self.lab.arm(cell.step);
        Running::start(command, false)
    }

    /// Waits until every transaction has ended: by itself, but after a reboot by the next
    /// command, whichever that is.
    fn closed(&self, cell: &Cell, before: &Before) {
        if matches!(cell.fault, Fault::Reboot | Fault::PowerCut) {
            self.lab.laptop(&["deployvm", "status", "-H", HYPERVISOR, "--no-eval"]).expect(0);
        }
        for id in before.begun(&self.lab) {
            self.lab.outcome(&id);
        }
    }

    /// The ledger has as many lines as there were transactions that did something, however
    /// many of these are forgotten by now.
    pub fn told_all(&self) {
        let entries = self.lab.ledger();
        let done = entries.iter().filter(|e| e["result"] != "refused").count();
        assert_eq!(done, self.told, "lines of the ledger");
    }

    /// The next push works, and nothing is left of what went before.
    fn next_push(&mut self, cell: &Cell) {
        // What somebody else has deployed is not in this laptop's commits: meanwhile, or before,
        // where a rollback has gone back to that.
        let overtaken = matches!(cell.fault, Fault::SameVm | Fault::OtherVm) || cell.verb == "rollback";
        let words: &[&str] = if overtaken { &["--force-behind"] } else { &[] };
        if cell.fault == Fault::OldCollected {
            // The next cell may be a rollback, and needs something to go back to: what was
            // collected may be just below.
            self.wish();
            self.lab.push_with(&[], &self.deadlines).expect(0);
            self.note();
            self.wish();
        }
        let pushed: Pushed = self.lab.push_with(words, &self.deadlines);
        pushed.expect(0);
        self.note();
        let now = Before::look(self);
        for (vm, state) in ["vm1", "vm2"].iter().zip(&now.vms) {
            let runner = state.booted.clone().unwrap();
            state.runs(&self.lab, &runner);
            assert_eq!(self.versions[&runner], self.count.to_string(), "{vm} after the next push");
            self.lab.answers(vm, &format!("{vm} version {}", self.count));
        }
        // What a laptop held that is gone, the next push drops after a day.
        self.lab.tidy_but("-pending-");
        until("no ssh is left on the laptop", 30, || match self.lab.on_laptop("ssh") {
            left if left.is_empty() => Ok(()),
            left => Err(left.join(" ")),
        });
    }
}
