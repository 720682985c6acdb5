//! The matrix as data: every verb, step and fault, whether that cell can differ from
//! others, and how it must end. `docs/reliability.md` has the same rules in words.

use super::gate::{STEPS, Step};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    KillDeployvm,
    KillSsh,
    LinkDown,
    LinkBlip,
    Reboot,
    PowerCut,
    KillQemu,
    UnitStop,
    UnitKill,
    StoreFull,
    StateFull,
    RunFull,
    ReadOnly,
    Clock,
    Collect,
    OldCollected,
    SameVm,
    OtherVm,
    Reload,
    HostSwitch,
    NoSessions,
}
use Fault::*;

/// All of them, with their names in the table.
pub const FAULTS: [(Fault, &str); 21] = [
    (KillDeployvm, "kill deployvm"),
    (KillSsh, "kill ssh"),
    (LinkDown, "link down"),
    (LinkBlip, "link 5 s"),
    (Reboot, "reboot"),
    (PowerCut, "power cut"),
    (KillQemu, "kill qemu"),
    (UnitStop, "unit stop"),
    (UnitKill, "unit kill"),
    (StoreFull, "/nix full"),
    (StateFull, "/var/lib full"),
    (RunFull, "/run full"),
    (ReadOnly, "read-only"),
    (Clock, "clock +1 h"),
    (Collect, "gc"),
    (OldCollected, "old gone"),
    (SameVm, "same VM"),
    (OtherVm, "other VM"),
    (Reload, "reload"),
    (HostSwitch, "host switch"),
    (NoSessions, "no sessions"),
];

impl Fault {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        FAULTS.iter().find(|(fault, _)| *fault == self).unwrap().1
    }

    /// Whether it needs a hypervisor with small disks, which does not survive a reboot.
    pub fn needs_small_disks(self) -> bool {
        matches!(self, StoreFull | StateFull)
    }
}

/// The verbs that switch.
pub const VERBS: [&str; 2] = ["push", "rollback"];

/// One cell.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub verb: &'static str,
    pub step: &'static Step,
    pub fault: Fault,
}

/// What becomes of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is run, and vm1 and vm2 must end on one of these, such as `old` and `old|new`.
    Ends(&'static str, &'static str),
    /// It cannot be, or cannot differ from another one: why.
    Not(&'static str),
}
use Fate::{Ends, Not};

/// The order of the steps, in the stretches that the rules speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stretch {
    /// Nothing is changed anywhere.
    Looking,
    /// Only the hypervisor's store is.
    Copying,
    /// The transaction writes down what is there.
    Recording,
    /// Down, or on trial.
    Trial,
    /// The verdict is being written.
    Deciding,
    /// It is written.
    Committing,
}

fn stretch(step: &Step) -> Stretch {
    match step.name {
        "connect" | "evaluate" | "look" | "build" => Stretch::Looking,
        "copy" => Stretch::Copying,
        "lock" | "root" | "record" => Stretch::Recording,
        "verdict" => Stretch::Deciding,
        "commit" | "ledger" | "unlock" => Stretch::Committing,
        _ => Stretch::Trial,
    }
}

impl Cell {
    /// All cells, the faults of the hypervisor's power last.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for verb in VERBS {
            for (fault, _) in FAULTS {
                all.extend(STEPS.iter().map(|step| Self { verb, step, fault }));
            }
        }
        all
    }

    /// In which stretch its step is.
    pub fn stretch(&self) -> Stretch {
        stretch(self.step)
    }

    /// As in the results: the first three words of a line.
    pub fn name(&self) -> String {
        format!("{} / {} / {}", self.verb, self.step.name, self.fault.name())
    }

    /// Whether and how it ends.
    pub fn fate(&self) -> Fate {
        let name = self.step.name;
        if self.verb == "rollback" {
            if matches!(name, "evaluate" | "build" | "copy") {
                return Not("a rollback does no such thing");
            }
            if !matches!(name, "look" | "flip" | "verdict" | "ledger") {
                return Not("as a push: the same transaction, and the same connection before it");
            }
        }
        let at = stretch(self.step);
        if matches!(self.fault, UnitStop | UnitKill) && at < Stretch::Recording {
            return Not("there is no unit yet");
        }
        if self.fault == KillQemu && matches!(name, "flip" | "restart") {
            return Not("the VM is stopped on purpose then");
        }
        let of_the_laptop = matches!(self.fault, KillDeployvm | KillSsh | LinkDown | LinkBlip | NoSessions);
        if !of_the_laptop && matches!(name, "connect" | "evaluate") {
            return Not("as at look: the hypervisor has not been asked for anything yet");
        }
        if !of_the_laptop && name == "build" {
            return Not("as at copy: nothing is asked of the hypervisor in between");
        }
        self.end(at)
    }

    fn end(&self, at: Stretch) -> Fate {
        use Stretch::{Committing, Copying, Deciding, Looking, Recording, Trial};
        let name = self.step.name;
        match self.fault {
            // Without the laptop there is no verdict, and nobody begins with vm2. No more is
            // it where no connection of its own can be made.
            KillDeployvm | LinkDown | NoSessions => match at {
                Deciding | Committing => Ends("new", "old"),
                _ => Ends("old", "old"),
            },
            // The laptop comes back once something has begun there.
            KillSsh => match at {
                Looking | Copying => Ends("old", "old"),
                _ => Ends("new", "new"),
            },
            // Who is not there at the first word is not there, and a check of the laptop's
            // that is under way has about as long as this lasts.
            LinkBlip => match name {
                "connect" => Ends("old", "old"),
                // The laptop's may have passed by then; or its last attempt finds the line back.
                "host checks" | "laptop checks" => Ends("old|new", "old|new"),
                _ => Ends("new", "new"),
            },
            // What is not committed when the machine goes down boots the old runner. One that
            // is back before the copy begins is copied to.
            Reboot | PowerCut => match name {
                "copy" | "ledger" => Ends("new", "new"),
                // `current` points forward already; a shutdown in good order turns it back.
                "commit" if self.fault == PowerCut => Ends("new", "new"),
                // vm2 may have begun.
                "unlock" => Ends("new", "old|new"),
                _ => Ends("old", "old"),
            },
            KillQemu => match at {
                Trial if name != "stop" => Ends("old", "old"),
                Deciding => Ends("old", "old"),
                _ => Ends("new", "new"),
            },
            UnitStop | UnitKill => match at {
                Committing => Ends("new", "new"),
                _ => Ends("old", "old"),
            },
            // Where no number can be made, it is undone; and the next is not begun.
            StoreFull => match name {
                "ledger" | "unlock" => Ends("new", "old"),
                _ => Ends("old", "old"),
            },
            // The line in the ledger is put off until it can be written.
            StateFull | ReadOnly => match name {
                "ledger" => Ends("new", "new"),
                "unlock" => Ends("new", "old"),
                _ => Ends("old", "old"),
            },
            // Nothing is written there on trial, and what vm1 gives back in the end may be
            // room enough for vm2.
            RunFull => match at {
                Trial | Deciding | Committing => Ends("new", "old|new"),
                _ => Ends("old", "old"),
            },
            // Who holds the lock wins. Before it is taken, who comes first: what the plan was
            // not made for is refused, and so is a wish without the commit that runs.
            SameVm => match at {
                Looking if self.verb == "push" => Ends("theirs", "new"),
                // It goes back from what it finds, which is theirs.
                Looking => Ends("old", "new"),
                Copying => Ends("theirs", "old"),
                Recording | Trial | Deciding | Committing => Ends("new", "new"),
            },
            OtherVm => Ends("new", "theirs"),
            // Nobody is in their way.
            Clock | Collect | OldCollected | Reload | HostSwitch => Ends("new", "new"),
        }
    }
}

/// The cells that tell most, for every run of the tests.
pub const CORE: [(&str, &str, Fault); 9] = [
    ("push", "root", RunFull),
    ("push", "stop", UnitKill),
    ("push", "flip", KillDeployvm),
    ("rollback", "flip", UnitStop),
    ("push", "restart", LinkBlip),
    ("push", "settle", KillQemu),
    ("push", "verdict", NoSessions),
    ("push", "commit", UnitKill),
    ("push", "ledger", ReadOnly),
];

#[test]
fn every_cell_has_a_fate() {
    let (mut run, mut not) = (0, 0);
    for cell in Cell::all() {
        match cell.fate() {
            Ends(..) => run += 1,
            Not(why) => {
                assert!(!why.is_empty());
                not += 1;
            }
        }
    }
    assert_eq!(run + not, VERBS.len() * STEPS.len() * FAULTS.len());
    for (verb, step, fault) in CORE {
        let cell = Cell { verb, step: super::gate::named(step), fault };
        assert!(matches!(cell.fate(), Ends(..)), "{}", cell.name());
    }
}
