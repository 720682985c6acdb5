//! What the flake wants: its microVMs with everything that a plan needs to know,
//! and where the flake came from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::name::VmName;
use super::settings::{DeployvmOutput, VmSettings};
use super::store_path::StorePath;

/// Where the wish comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlakeFacts {
    /// The reference as the user gave it, or the directory that was found.
    pub reference: String,
    /// The locked URL, as Nix prints it.
    pub url: String,
    /// The git revision, if the flake is in git; for a dirty tree its parent.
    pub revision: Option<String>,
    /// Whether the working tree had uncommitted changes.
    pub dirty: bool,
    /// Hash of all that the flake sees: source, lock, overrides and options.
    pub fingerprint: String,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Where it comes from.
    pub flake: FlakeFacts,
    /// Every name in `nixosConfigurations`, also those that were not evaluated.
    pub names: Vec<String>,
    /// The microVMs that were evaluated, by name.
    pub vms: BTreeMap<VmName, Wanted>,
    /// The chosen ones that could not be evaluated, with Nix's own error.
    pub broken: BTreeMap<VmName, String>,
    /// The flake's `deployvm` output, if it has one.
    pub output: Option<DeployvmOutput>,
}

/// One microVM as the flake wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Attribute name in `nixosConfigurations`.
    pub name: VmName,
    /// Derivation of the runner.
    pub drv: StorePath,
    /// The runner, `config.microvm.declaredRunner`.
    pub runner: StorePath,
    /// `config.system.build.toplevel`, not built for its own sake.
    #[serde(default)]
    pub toplevel: Option<StorePath>,
    /// Nix system, such as `x86_64-linux`.
    pub system: String,
    /// `qemu`, `cloud-hypervisor`, …
    pub hypervisor: Option<String>,
    /// MiB.
    pub mem: Option<u64>,
    /// Number of virtual processors.
    pub vcpu: Option<u64>,
    /// Network interfaces of the runner.
    pub interfaces: Vec<Interface>,
    /// Guest addresses that the configuration declares, without prefix lengths.
    pub addresses: Vec<IpAddr>,
    /// vsock context id.
    pub cid: Option<u64>,
    /// Images of writable volumes, as the configuration spells them.
    pub volumes: Vec<String>,
    /// Whether the guest enables sshd.
    pub sshd: bool,
    /// `deployvm.*` options inside the VM's own configuration, if it has them.
    #[serde(default)]
    pub settings: Option<VmSettings>,
}

impl Wanted {
    /// One of which nothing else is known.
    pub fn new(name: VmName, system: String, drv: StorePath, runner: StorePath) -> Self {
        Self {
            name,
            drv,
            runner,
            toplevel: None,
            system,
            hypervisor: None,
            mem: None,
            vcpu: None,
            interfaces: Vec::new(),
            addresses: Vec::new(),
            cid: None,
            volumes: Vec::new(),
            sshd: false,
            settings: None,
        }
    }
}

/// One of `config.microvm.interfaces`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// `tap`, `macvtap`, `user`, `bridge`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the device on the hypervisor.
    pub id: String,
    /// MAC address, lower case.
    pub mac: Option<String>,
    /// The bridge, for interfaces of type `bridge`.
    #[serde(default)]
    pub bridge: Option<String>,
}

impl Wanted {
    /// Names of the taps that the runner makes.
    pub fn taps(&self) -> impl Iterator<Item = &str> {
        self.interfaces.iter().filter(|i| i.kind == "tap").map(|i| i.id.as_str())
    }
}
