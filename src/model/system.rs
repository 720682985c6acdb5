//! The hypervisor's own NixOS system: as the flake wants it, as it was found, and what a
//! switch of it does to microVMs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::inventory::Wanted;
use super::name::VmName;
use super::store_path::StorePath;

/// What only a reboot changes. Paths are those of the store, whatever is below them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// The kernel.
    pub kernel: Option<StorePath>,
    /// The initial RAM disk.
    pub initrd: Option<StorePath>,
    /// The kernel's modules.
    pub modules: Option<StorePath>,
    /// The kernel's parameters.
    pub params: Option<String>,
}

/// The system as the flake wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSystem {
    /// What has to be built: derivation, `config.system.build.toplevel`, Nix system.
    pub wanted: Wanted,
    /// What it boots.
    pub boot: Boot,
    /// VMs that it starts at boot, declared or not.
    pub autostart: Vec<VmName>,
    /// `microvm.vms`.
    pub vms: BTreeMap<VmName, Declared>,
}

/// A VM that the hypervisor's configuration declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Whether the hypervisor writes `current` at every boot and switch (contract 3.5); it
    /// only does once where the VM is updated by hand later.
    pub owned: bool,
    /// `restartIfChanged`.
    pub restart_if_changed: bool,
    /// The VM itself; `None` where it cannot be told.
    pub wanted: Option<Wanted>,
}

/// The system as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundSystem {
    /// What /run/current-system leads to, as text: it may be no store path.
    pub current: String,
    /// What was booted.
    pub booted: Option<StorePath>,
    /// What that has booted.
    pub boot: Boot,
    /// Number to which the profile points, which is what the next boot starts.
    pub default: Option<u64>,
    /// Generations of the profile, ascending.
    pub generations: Vec<FoundGeneration>,
    /// What was last installed of VMs that the hypervisor owns.
    pub toplevels: BTreeMap<VmName, StorePath>,
}

impl FoundSystem {
    /// What runs, if it is a system in the store.
    pub fn running(&self) -> Option<StorePath> {
        self.current.parse().ok()
    }
}

/// One generation of the system's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundGeneration {
    /// Its number.
    pub number: u64,
    /// When it was made, Unix seconds.
    pub time: u64,
    /// The system.
    pub path: StorePath,
    /// `nixos-version`, if it says.
    pub version: Option<String>,
    /// What it boots.
    pub boot: Boot,
}

/// One generation, with the keys of `host generations --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SystemGeneration {
    /// Number in /nix/var/nix/profiles/system.
    pub number: u64,
    /// When it was made, RFC 3339 in UTC.
    pub time: Option<String>,
    /// The system.
    pub path: StorePath,
    /// Version of NixOS.
    pub version: Option<String>,
    /// It runs.
    pub current: bool,
    /// It was booted.
    pub booted: bool,
    /// The next boot starts it.
    pub default: bool,
}

/// What a switch of the hypervisor's system does to one microVM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The microVM.
    pub vm: VmName,
    /// What.
    pub does: Does,
    /// What runs, or else is staged, now.
    pub from: Option<StorePath>,
    /// What `current` will be, where the switch writes it.
    pub to: Option<StorePath>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// Nothing.
    Nothing,
    /// `current` is written, and the next start boots it.
    Stages,
    /// `current` is written, and the VM restarted.
    Restarts,
    /// It is started.
    Starts,
    /// The hypervisor does not have it: installed, and not started.
    Installs,
}

impl std::fmt::Display for Does {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Nothing => "untouched",
            Self::Stages => "staged",
            Self::Restarts => "restarted",
            Self::Starts => "started",
            Self::Installs => "installed",
        })
    }
}

/// What the hypervisor's transaction needs to know besides the move.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemSwitch {
    /// VMs that must run afterwards although they do not now.
    pub starts: Vec<VmName>,
    /// Seconds for one run of `switch-to-configuration`.
    pub seconds: u32,
}
