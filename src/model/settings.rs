//! What users may say about hypervisors and microVMs, in the flake's `deployvm`
//! output, in `deployvm.toml`, in the environment or by flags: one shape for all
//! layers. How the layers are merged is the business of `cli::settings`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::check::DeclaredChecks;
use super::login::Elevate;
use super::name::{VmName, Word};

/// The flake's `deployvm` output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeployvmOutput {
    /// Hypervisors by name.
    pub hypervisors: BTreeMap<Word, Hypervisor>,
    /// microVMs by attribute name.
    pub vms: BTreeMap<VmName, VmSettings>,
}

/// Everything that is settled once the layers are merged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The hypervisor to use for VMs that name none: a name or an address.
    pub hypervisor: Option<String>,
    /// Hypervisors by name.
    pub hypervisors: BTreeMap<Word, Hypervisor>,
    /// microVMs by attribute name.
    pub vms: BTreeMap<VmName, VmSettings>,
    /// What holds for every microVM that says nothing else.
    pub defaults: VmSettings,
}

/// One hypervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hypervisor {
    /// `local` or `[USER@]HOST[:PORT]`.
    pub address: Option<String>,
    /// Its own configuration in `nixosConfigurations`.
    pub configuration: Option<String>,
    /// What to write into a new VM's `flake` file.
    pub flake: Option<String>,
    /// How a login that is not root becomes root; by what is there when absent.
    pub elevate: Option<Elevate>,
}

/// One microVM, or the defaults for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VmSettings {
    /// Name of its hypervisor.
    pub hypervisor: Option<String>,
    /// Tags, chosen with `@tag`.
    pub tags: Option<Vec<Word>>,
    /// VMs that are switched before this one.
    pub after: Option<Vec<VmName>>,
    /// The guest's address, where the configuration does not tell it.
    pub address: Option<String>,
    /// Declared checks.
    pub checks: Option<DeclaredChecks>,
    /// The way into the guest.
    pub guest: Option<Guest>,
    /// Seconds that the main process must live unchanged.
    pub settle: Option<u32>,
    /// Seconds for the guest to come up.
    pub boot: Option<u32>,
    /// Seconds for a check that says nothing else.
    pub within: Option<u32>,
    /// Seconds that the hypervisor waits for the laptop's verdict.
    pub verdict: Option<u32>,
}

/// How to get into a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guest {
    /// `root` when absent.
    pub user: Option<String>,
    /// 22 when absent.
    pub port: Option<u16>,
    /// The way there.
    pub via: Option<Via>,
}

/// The way into a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// ssh through the hypervisor.
    #[default]
    Hypervisor,
    /// ssh straight from the laptop.
    Laptop,
    /// ssh over vsock, from the hypervisor.
    Vsock,
}

impl VmSettings {
    /// Fills what is not said here from `base`. `self` wins.
    pub fn or(self, base: &Self) -> Self {
        let base = base.clone();
        Self {
            hypervisor: self.hypervisor.or(base.hypervisor),
            tags: self.tags.or(base.tags),
            after: self.after.or(base.after),
            address: self.address.or(base.address),
            checks: match (self.checks, base.checks) {
                (Some(mine), Some(mut theirs)) => {
                    theirs.extend(mine);
                    Some(theirs)
                }
                (mine, theirs) => mine.or(theirs),
            },
            guest: self.guest.or(base.guest),
            settle: self.settle.or(base.settle),
            boot: self.boot.or(base.boot),
            within: self.within.or(base.within),
            verdict: self.verdict.or(base.verdict),
        }
    }
}

/// Deadlines of one switch, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// The main process must live unchanged for so long.
    pub settle: u32,
    /// From the start until the guest is up.
    pub boot: u32,
    /// For each check, from then on.
    pub within: u32,
    /// For the laptop's verdict, after the checks.
    pub verdict: u32,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { settle: 3, boot: 60, within: 30, verdict: 30 }
    }
}

impl VmSettings {
    /// The deadlines, with the built-in defaults for what is not said.
    pub fn deadlines(&self) -> Deadlines {
        let base = Deadlines::default();
        Deadlines {
            settle: self.settle.unwrap_or(base.settle),
            boot: self.boot.unwrap_or(base.boot),
            within: self.within.unwrap_or(base.within),
            verdict: self.verdict.unwrap_or(base.verdict),
        }
    }
}
