//! Two VMs among what is staged that share what only one of them can have. A push
//! compares what the flake wants; this compares what is there, whoever installed it.

use std::collections::BTreeMap;

use super::{Findings, Hypervisor};
use crate::model::finding::{Place, Trap};
use crate::model::name::VmName;

/// Judges every pair that there is.
pub(super) fn judge(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let vms = || there.exam.vms.iter();
    let macs = vms().flat_map(|(vm, exam)| exam.macs.iter().map(move |mac| (mac.clone(), vm)));
    shared(Trap::SameMac, "the MAC address", macs.collect(), list);
    let taps = vms().flat_map(|(vm, exam)| exam.taps.iter().map(move |tap| (tap.clone(), vm)));
    shared(Trap::SameTap, "the tap", taps.collect(), list);
    let cids = vms().filter_map(|(vm, exam)| Some((exam.cid?.to_string(), vm)));
    shared(Trap::SameCid, "the vsock CID", cids.collect(), list);
}

fn shared(trap: Trap, noun: &str, all: Vec<(String, &VmName)>, list: &mut Findings<'_>) {
    let mut owners: BTreeMap<String, Vec<&VmName>> = BTreeMap::new();
    for (value, vm) in all {
        let vms = owners.entry(value).or_default();
        if !vms.contains(&vm) {
            vms.push(vm);
        }
    }
    for (value, vms) in owners.iter().filter(|(_, vms)| vms.len() > 1) {
        let names: Vec<&str> = vms.iter().map(|vm| vm.as_str()).collect();
        let names = names.join(" and ");
        let last = vms.last().map(|vm| vm.as_str()).unwrap_or_default();
        list.error(
            trap,
            Place::Hypervisor,
            format!("{names} share {noun} {value}: only one of them can run"),
            format!("bin/microvm-run of what each has staged says {value}"),
            format!(
                "give {last} another one in its configuration, then `{}`",
                list.typed.deployvm(&format!("push {last}"))
            ),
        );
    }
}
