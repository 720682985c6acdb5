//! What two microVMs on one hypervisor cannot share: a device, an address, a vsock
//! number, a writable image. Found before anything is touched, because the second
//! VM would fail to start, or worse, both would write to one disk.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::{Failure, Result};
use crate::model::inventory::Wanted;

/// Refuses microVMs that are to run on one hypervisor and share what they must not.
///
/// # Errors
/// Names every shared thing and the VMs that share it (exit 2).
pub fn refuse<'a>(vms: impl IntoIterator<Item = &'a Wanted>) -> Result<()> {
    let mut owners: BTreeMap<(&'static str, String), BTreeSet<&str>> = BTreeMap::new();
    for vm in vms {
        for thing in things(vm) {
            owners.entry(thing).or_default().insert(vm.name.as_str());
        }
    }
    let shared: Vec<String> = owners
        .into_iter()
        .filter(|(_, vms)| vms.len() > 1)
        .map(|((kind, value), vms)| {
            format!("{} share the {kind} {value}", vms.into_iter().collect::<Vec<_>>().join(" and "))
        })
        .collect();
    if shared.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(shared.join("; ")).help("give each VM its own, or deploy only one of them"))
}

/// Everything of a VM that exists once on the hypervisor or its networks.
fn things(vm: &Wanted) -> Vec<(&'static str, String)> {
    let mut things = Vec::new();
    for interface in &vm.interfaces {
        if matches!(interface.kind.as_str(), "tap" | "macvtap") {
            things.push(("tap", interface.id.clone()));
        }
        // Behind QEMU's user network every VM is alone.
        if let Some(mac) = interface.mac.as_deref().filter(|_| interface.kind != "user") {
            things.push(("MAC address", mac.to_ascii_lowercase()));
        }
    }
    things.extend(vm.addresses.iter().filter(|a| is_of_the_network(a)).map(|a| ("address", a.to_string())));
    things.extend(vm.cid.map(|cid| ("vsock CID", cid.to_string())));
    // A relative image is in the VM's own directory.
    let absolute = vm.volumes.iter().map(Utf8Path::new).filter(|path| path.is_absolute());
    things.extend(absolute.map(|path| {
        let path: Utf8PathBuf = path.components().collect();
        ("writable volume", path.into_string())
    }));
    things
}

/// Whether an address means one machine beyond its own link.
pub(super) fn is_of_the_network(address: &IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::inventory::Interface;

    pub(in crate::plan) fn vm(name: &str) -> Wanted {
        let path = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-microvm";
        let drv = format!("{path}.drv").parse().unwrap();
        Wanted::new(name.parse().unwrap(), "x86_64-linux".into(), drv, path.parse().unwrap())
    }

    fn interface(kind: &str, id: &str, mac: &str) -> Interface {
        Interface { kind: kind.into(), id: id.into(), mac: Some(mac.into()), bridge: None }
    }

    fn busy(name: &str, kind: &str) -> Wanted {
        Wanted {
            interfaces: vec![interface(kind, "vm-a", "02:00:00:00:00:0A")],
            addresses: ["10.0.0.2", "127.0.0.1", "fe80::1", "10.0.0.2"].map(|a| a.parse().unwrap()).to_vec(),
            cid: Some(7),
            volumes: vec!["var.img".into(), "/srv//img/./a.img".into()],
            ..vm(name)
        }
    }

    #[test]
    fn names_both_and_the_value() {
        let failure = refuse([&busy("vm1", "tap"), &busy("vm2", "tap"), &vm("vm3")]).unwrap_err();
        assert_eq!(failure.aftermath.code(), 2);
        insta::assert_snapshot!(failure.message.replace("; ", "\n"), @r"
        vm1 and vm2 share the MAC address 02:00:00:00:00:0a
        vm1 and vm2 share the address 10.0.0.2
        vm1 and vm2 share the tap vm-a
        vm1 and vm2 share the vsock CID 7
        vm1 and vm2 share the writable volume /srv/img/a.img
        ");
    }

    #[test]
    fn what_is_private_conflicts_with_nobody() {
        let private = |name: &str| Wanted {
            interfaces: vec![interface("user", "qemu", "02:00:00:00:00:01")],
            addresses: vec!["127.0.0.1".parse().unwrap(), "fe80::1".parse().unwrap()],
            volumes: vec!["var.img".into(), "./x/../var.img".into()],
            ..vm(name)
        };
        assert_eq!(refuse([&private("vm1"), &private("vm2")]), Ok(()));
        assert_eq!(refuse([&busy("vm1", "tap")]), Ok(()));
    }
}
