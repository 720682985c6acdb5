//! The plan: a list of moves with nothing left to choose. `plan` prints it,
//! `push` prints the same and then obeys it.

use serde::{Deserialize, Serialize};

use super::check::{Check, Expect, From};
use super::closure::ClosureDiff;
use super::inventory::FlakeFacts;
use super::name::VmName;
use super::settings::{Deadlines, Guest};
use super::store_path::StorePath;
use super::system::{Effect, SystemSwitch};
use super::terms::Terms;

/// What will be done, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The hypervisor as the user named it.
    pub hypervisor: String,
    /// One move per chosen VM, in rollout order.
    pub moves: Vec<Move>,
    /// Chosen VMs that could not be evaluated or built, with the error: nothing is
    /// touched while there is one.
    pub broken: Vec<(VmName, String)>,
    /// Why the plan as a whole cannot be carried out (exit 12): no room, no memory, no
    /// bridge. Nothing is touched while there is a reason.
    #[serde(default)]
    pub impossible: Vec<String>,
    /// Remarks that the user should read before saying yes.
    pub warnings: Vec<String>,
    /// What a switch of the hypervisor's own system does to its VMs; `None` for a plan of
    /// VMs.
    #[serde(default)]
    pub effects: Option<Vec<Effect>>,
}

/// How one microVM gets from what is there to what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It runs what is wanted, or is stopped with it staged: left strictly alone.
    Keep,
    /// Flip and restart on trial.
    Restart,
    /// Flip only: stopped, or `--no-restart`; the next start boots it.
    Stage,
    /// The hypervisor does not have it: install and start.
    Install,
    /// The hypervisor's own system: `switch-to-configuration`, on trial.
    Switch,
    /// Not touched, with the reason.
    Refuse(String),
}

/// One microVM's part of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The microVM.
    pub vm: VmName,
    /// How.
    pub how: How,
    /// What runs, or else is staged, now: what an undo goes back to.
    pub from: Option<StorePath>,
    /// The exact text of `current` that the plan saw; the hypervisor compares it again.
    pub current: Option<String>,
    /// The runner wanted.
    pub to: StorePath,
    /// Closure diff, where both closures are known.
    pub diff: Option<ClosureDiff>,
    /// At most so many NAR bytes have to be sent.
    pub bytes_to_send: Option<u64>,
    /// Checks to run afterwards.
    pub checks: Vec<Check>,
    /// The guest's address, if one is known.
    pub address: Option<String>,
    /// Taps that must exist, be up and belong to a bridge.
    pub taps: Vec<String>,
    /// Taps that must exist and be up, and work without a bridge today.
    #[serde(default)]
    pub routed: Vec<String>,
    /// The way into the guest.
    pub guest: Guest,
    /// The guest's vsock, where that is the way.
    #[serde(default)]
    pub vsock: Option<Vsock>,
    /// Whether its main process runs now.
    #[serde(default)]
    pub running: bool,
    /// Deadlines.
    pub deadlines: Deadlines,
    /// Generations that will be adopted first: what for (`booted`, `staged`) and path.
    pub adopt: Vec<(String, StorePath)>,
    /// What the user should know about this VM.
    pub notes: Vec<String>,
    /// Content of the `flake` file that a new VM gets.
    pub flake: Option<String>,
    /// Where the flake was from, when it is not this command's: a generation's.
    #[serde(default)]
    pub made_of: Option<FlakeFacts>,
    /// What is kept beside the generation for a later rollback to it.
    #[serde(default)]
    pub terms: Option<Terms>,
    /// What only a switch of the hypervisor's own system has.
    #[serde(default)]
    pub system: Option<SystemSwitch>,
}

/// The guest's vsock, as the hypervisor reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vsock {
    /// The guest's context id.
    pub cid: u64,
    /// Path of a socat there, once one was looked for and found.
    pub socat: Option<String>,
}

impl Move {
    /// The checks that run on the laptop or in the guest.
    pub fn elsewhere(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.from != From::Hypervisor)
    }

    /// Whether one of them expects this.
    pub fn expects_elsewhere(&self, wanted: Expect) -> bool {
        self.elsewhere().any(|check| check.expect == wanted)
    }

    /// Seconds that they may take: all positive ones at once, then all others at once.
    /// `longest` is what one answer may take, that to what must be refused included.
    pub fn laptop_seconds(&self, longest: u32) -> u32 {
        let positive = self.elsewhere().filter(|c| c.expect == Expect::Ok).map(|c| c.within).max();
        let refused = if self.expects_elsewhere(Expect::Refused) { longest } else { 0 };
        positive.map_or(0, |within| within + longest) + refused
    }

    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        matches!(self.how, How::Restart | How::Stage | How::Install | How::Switch)
    }

    /// Whether it is started on trial, and checked.
    pub fn is_tried(&self) -> bool {
        matches!(self.how, How::Restart | How::Install)
    }
}

impl Plan {
    /// Whether there is anything to do.
    pub fn has_changes(&self) -> bool {
        self.moves.iter().any(Move::changes)
    }
}
