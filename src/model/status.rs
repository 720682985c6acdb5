//! One microVM as `status` shows it, with the keys of `status --json`. How a state
//! is found is not decided here.

use serde::{Deserialize, Serialize};

use super::name::VmName;
use super::observed::Mode;
use super::store_path::StorePath;

/// The states of interface.md, in the order in which they are tried: the first
/// that matches is the VM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Wanted, not installed.
    Absent,
    /// On the hypervisor, not in the flake.
    Orphan,
    /// In a crash loop, or dead.
    Failed,
    /// Not running, and not because it failed.
    Stopped,
    /// Neither what runs nor what is staged is what the flake wants.
    Outdated,
    /// Something else is staged than runs.
    Stale,
    /// Runs what is wanted and staged.
    Current,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Absent => "absent",
            Self::Orphan => "orphan",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Outdated => "outdated",
            Self::Stale => "stale",
            Self::Current => "current",
        })
    }
}

/// The four runners that a microVM may have at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runners {
    /// What the flake wants; `None` for an orphan and without evaluation.
    pub desired: Option<StorePath>,
    /// Target of `current`: what the next start boots.
    pub staged: Option<StorePath>,
    /// Target of `booted`.
    pub booted: Option<StorePath>,
    /// What really runs; `None` when nothing does, or when it cannot be told.
    pub running: Option<StorePath>,
}

/// The unit's state. An absent VM has no unit: every field is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// `ActiveState`.
    pub active: Option<String>,
    /// `SubState`.
    pub sub: Option<String>,
    /// Main process.
    pub main_pid: Option<u32>,
    /// `NRestarts`.
    pub restarts: Option<u32>,
    /// Seconds that the main process has run.
    pub age: Option<u64>,
}

/// One row of `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The microVM.
    pub name: VmName,
    /// Its hypervisor, as the user named it.
    pub hypervisor: String,
    /// Its state.
    pub state: State,
    /// Number of the generation that its profile points to.
    pub generation: Option<u64>,
    /// Its runners.
    pub runner: Runners,
    /// Its unit.
    pub unit: UnitStatus,
    /// Git revision that the generation was deployed from.
    pub revision: Option<String>,
    /// Whether the tree was dirty then.
    pub dirty: Option<bool>,
    /// Who writes `current`; `None` when it is absent.
    pub mode: Option<Mode>,
    /// Whether the hypervisor starts it at boot; `None` when it is absent.
    pub autostart: Option<bool>,
    /// What else the user should know about it, one sentence each.
    pub notes: Vec<String>,
}

impl Status {
    /// A row about a microVM of which nothing is known but its state.
    pub fn new(name: VmName, hypervisor: impl Into<String>, state: State) -> Self {
        Self {
            name,
            hypervisor: hypervisor.into(),
            state,
            generation: None,
            runner: Runners::default(),
            unit: UnitStatus::default(),
            revision: None,
            dirty: None,
            mode: None,
            autostart: None,
            notes: Vec::new(),
        }
    }
}
