//! What the hypervisor has, as one look found it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::closure::Closure;
use super::ledger::Entry;
use super::name::{HOST, VmName};
use super::store_path::StorePath;

/// Everything that one look at a hypervisor returns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Facts of the machine.
    pub host: HostFacts,
    /// Every microVM that it has, by name.
    pub vms: BTreeMap<VmName, Found>,
    /// Directories in microvm.nix's state directory whose names are no VM names.
    pub odd_names: Vec<String>,
    /// VMs whose directory there is a link to elsewhere: nothing of them is followed.
    pub linked: BTreeSet<VmName>,
    /// VMs that it starts at boot, whether or not it has them yet.
    pub autostart: BTreeSet<VmName>,
    /// Closures of what is booted (or else staged), where the caller asked for them.
    pub closures: BTreeMap<StorePath, Closure>,
    /// The ledger's entries, oldest first, as far as they were asked for.
    pub ledger: Vec<Entry>,
    /// Transactions that have no outcome yet.
    pub open: Vec<OpenTransaction>,
    /// Transactions that have ended without their user, oldest first.
    pub unheard: Vec<Unheard>,
}

/// Facts of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// `uname -n`.
    pub name: String,
    /// Nix system, such as `x86_64-linux`.
    pub system: String,
    /// `nix (Nix) 2.26.3`; `None` when Nix was not found.
    pub nix: Option<String>,
    /// Version of systemd, such as 252.
    pub systemd: u32,
    /// Bytes free where the store is.
    pub store_free: u64,
    /// Bytes free in /var/lib.
    pub state_free: u64,
    /// KiB of `MemAvailable`.
    pub memory_available_kib: u64,
    /// Bridges that exist.
    pub bridges: Vec<String>,
    /// Network devices with the bridge that they belong to, if any.
    pub devices: BTreeMap<String, Option<String>>,
    /// Programs that a deployment needs and that are missing there.
    pub missing: Vec<String>,
}

/// One microVM as found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Target of `current`, as text: it may dangle or not be a store path at all.
    pub current: Option<String>,
    /// Target of `booted`.
    pub booted: Option<String>,
    /// Content of `flake`, if there is such a file.
    pub flake: Option<String>,
    /// Who owns `current` (contract 3.5).
    pub mode: Mode,
    /// Whether the hypervisor starts it at boot.
    pub autostart: bool,
    /// Its unit.
    pub unit: Unit,
    /// The runner that is really running, `None` when that cannot be told or nothing runs.
    pub running: Option<StorePath>,
    /// Whether `current` and `booted` exist in the store.
    pub current_valid: bool,
    /// The same for `booted`.
    pub booted_valid: bool,
    /// Its numbered generations: number and path, ascending.
    pub generations: Vec<(u64, StorePath)>,
    /// Number that the profile points to.
    pub generation: Option<u64>,
    /// Modification time of each generation link, Unix seconds, in the same order.
    pub generation_times: Vec<u64>,
    /// Generations kept from `prune`.
    pub pins: Vec<u64>,
    /// Who holds its lock: who, since when, what.
    pub locked: Option<String>,
    /// MiB that the booted runner takes, where its command line tells.
    pub mem: Option<u64>,
}

impl Found {
    /// `current` as a store path, if it is one.
    pub fn staged(&self) -> Option<StorePath> {
        self.current.as_deref().and_then(|text| text.parse().ok())
    }

    /// `booted` as a store path, if it is one.
    pub fn booted_path(&self) -> Option<StorePath> {
        self.booted.as_deref().and_then(|text| text.parse().ok())
    }

    /// Whether a main process runs now.
    pub fn is_running(&self) -> bool {
        self.unit.active == "active" && self.unit.main_pid.is_some()
    }
}

#[cfg(test)]
impl Found {
    /// One for tests: runs, or ran last, what it was given; nothing else is known.
    pub fn example(active: &str, runner: String) -> Self {
        Self {
            current: Some(runner.clone()),
            booted: Some(runner),
            flake: None,
            mode: Mode::Imperative,
            autostart: true,
            unit: Unit {
                active: active.to_owned(),
                main_pid: (active == "active").then_some(42),
                ..Unit::default()
            },
            running: None,
            current_valid: true,
            booted_valid: true,
            generations: Vec::new(),
            generation: None,
            generation_times: Vec::new(),
            pins: Vec::new(),
            locked: None,
            mem: None,
        }
    }
}

/// Who writes `current`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The `microvm` command, or deployvm.
    Imperative,
    /// Declared with `flake` and `updateFlake`: the host writes it once.
    UpdateFlake,
    /// The host's own configuration writes it at every boot and switch.
    HostOwned,
}

/// A systemd unit's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// `ActiveState`.
    pub active: String,
    /// `SubState`.
    pub sub: String,
    /// Main process, `None` for 0.
    pub main_pid: Option<u32>,
    /// `NRestarts`.
    pub restarts: u32,
    /// `InvocationID`.
    pub invocation: String,
    /// Seconds that the main process has run, if it runs.
    pub age: Option<u64>,
    /// `TimeoutStopUSec` in seconds, rounded up.
    pub stop_timeout: u64,
}

/// A transaction without outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its id.
    pub id: String,
    /// The microVM it is about.
    pub vm: String,
    /// Whether somebody on the hypervisor still works on it.
    pub alive: bool,
}

impl OpenTransaction {
    /// Whether nobody may begin to work on this microVM: somebody does, or a switch of the
    /// hypervisor's own system, which is about all of them, has not been ended.
    pub fn concerns(&self, vm: &VmName) -> bool {
        self.vm == HOST || (self.alive && self.vm == vm.as_str())
    }
}

/// A transaction of whose outcome nobody has heard: its laptop was gone before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheard {
    /// Its id.
    pub id: String,
    /// The microVM it is about.
    pub vm: String,
    /// Who began it: who, since when, what.
    pub holder: String,
    /// One of the result words.
    pub result: String,
    /// Its exit code.
    pub exit: u8,
    /// Why, one word; empty when all went well.
    pub reason: String,
}
