//! Which hypervisor a VM belongs to. For one VM the more specific setting wins
//! (`vms.NAME.hypervisor`, its own configuration, `defaults.hypervisor`, then
//! `hypervisor`, then the only one that there is), unless `hypervisor` was said for
//! this run (`--env`, variable, flag): then it wins over all weaker layers.

use std::collections::BTreeMap;

use super::Settled;
use super::node::Node;
use crate::error::{Failure, Result};
use crate::model::address::Address;
use crate::model::name::VmName;
use crate::model::settings::{Hypervisor, VmSettings};

/// A hypervisor to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in the settings, or else its address as text.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// What the settings say about it.
    pub settings: Hypervisor,
}

/// Takes out what weaker layers say about the hypervisor of single VMs, when a
/// hypervisor was named for this run.
pub(super) fn prefer_this_run(tree: &mut Node) {
    let Some((_, source)) = tree.text(&["hypervisor"]) else { return };
    if !source.is_for_this_run() {
        return;
    }
    let rank = source.rank();
    let vms = tree.get(&["vms"]).map(Node::keys).unwrap_or_default();
    let of_vms = vms.iter().map(|vm| vec!["vms", vm, "hypervisor"]);
    for path in of_vms.chain([vec!["defaults", "hypervisor"]]) {
        if tree.text(&path).is_some_and(|(_, source)| source.rank() < rank) {
            tree.remove(&path);
        }
    }
}

impl Settled {
    /// The hypervisor that was named for this run.
    pub(super) fn of_this_run(&self) -> Option<String> {
        let (text, source) = self.tree.text(&["hypervisor"])?;
        source.is_for_this_run().then(|| text.to_owned())
    }

    /// The hypervisor of a VM whose settings these are ([`Settled::vm`]).
    ///
    /// # Errors
    /// When none is named, or the named one has no address (exit 2).
    pub fn hypervisor_for(&self, vm: &VmSettings) -> Result<Target> {
        self.target(vm.hypervisor.as_deref().or(self.settings.hypervisor.as_deref()))
    }

    /// The hypervisor of a command that is about no VM in particular.
    ///
    /// # Errors
    /// When none is named, or the named one has no address (exit 2).
    pub fn hypervisor(&self) -> Result<Target> {
        let named = self.of_this_run();
        self.target(
            named
                .as_deref()
                .or(self.settings.defaults.hypervisor.as_deref())
                .or(self.settings.hypervisor.as_deref()),
        )
    }

    /// The one hypervisor of these VMs; for no VM, that of the whole command.
    ///
    /// # Errors
    /// When there is none, or more than one (exit 2).
    pub fn hypervisor_of_all(&self, vms: &BTreeMap<VmName, VmSettings>) -> Result<Target> {
        let mut targets: Vec<(Target, Vec<&str>)> = Vec::new();
        for (name, settings) in vms {
            let target = self.hypervisor_for(settings)?;
            match targets.iter_mut().find(|(known, _)| known.address == target.address) {
                Some((_, names)) => names.push(name.as_str()),
                None => targets.push((target, vec![name.as_str()])),
            }
        }
        match targets.as_slice() {
            [] => self.hypervisor(),
            [(target, _)] => Ok(target.clone()),
            [(_, first), ..] => {
                let list =
                    targets.iter().map(|(target, vms)| format!("{} ({})", target.name, vms.join(", ")));
                let list = list.collect::<Vec<_>>().join(", ");
                Err(Failure::usage(format!("the chosen VMs are on more than one hypervisor: {list}")).help(
                    format!(
                        "name the VMs of one hypervisor (`{}`), or one hypervisor for all with -H",
                        first.join(" ")
                    ),
                ))
            }
        }
    }

    fn target(&self, named: Option<&str>) -> Result<Target> {
        let known = &self.settings.hypervisors;
        let Some(text) = named else {
            return match (known.iter().next(), known.len()) {
                (Some((name, _)), 1) => self.target(Some(name.as_str())),
                (None, _) => Err(Failure::usage("no hypervisor named")
                    .help("say where it is: -H root@HOST, or DEPLOYVM_HYPERVISOR=root@HOST, or `hypervisor = \"root@HOST\"` in deployvm.toml")),
                _ => {
                    let names: Vec<&str> = known.keys().map(|name| name.as_str()).collect();
                    Err(Failure::usage("no hypervisor named")
                        .help(format!("choose one with -H: {}", names.join(", "))))
                }
            };
        };
        if let Some((name, settings)) = known.iter().find(|(name, _)| name.as_str() == text) {
            let Some(address) = &settings.address else {
                return Err(Failure::usage(format!("the hypervisor {name} has no address"))
                    .help(format!("set hypervisors.{name}.address to [USER@]HOST[:PORT] or \"local\"")));
            };
            let address = parsed(address)?;
            return Ok(Target { name: name.to_string(), address, settings: settings.clone() });
        }
        let address = parsed(text)?;
        // The same machine, told by its address: what is known about it still holds.
        let same = |h: &Hypervisor| h.address.as_deref().is_some_and(|a| a.parse() == Ok(address.clone()));
        Ok(match known.iter().find(|(_, settings)| same(settings)) {
            Some((name, settings)) => Target { name: name.to_string(), address, settings: settings.clone() },
            None => Target { name: address.to_string(), address, settings: Hypervisor::default() },
        })
    }
}

fn parsed(text: &str) -> Result<Address> {
    text.parse().map_err(|error| {
        Failure::usage(format!("{error}")).help("write [USER@]HOST[:PORT], or \"local\" for this machine")
    })
}
