//! Taps, bridges, and the way from this machine to the guests.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Findings, Hypervisor};
use crate::model::argv::word;
use crate::model::check::{Expect, From, Probe};
use crate::model::exam::{Device, DeviceKind, LaptopExam, Route};
use crate::model::finding::{Mend, Place, Trap};
use crate::model::name::VmName;
use crate::model::plan::Move;
use crate::model::settings::Via;

/// Addresses that something on this machine has to reach, with the VM.
pub(super) fn routes(laptop: &LaptopExam, there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let mut routed = false;
    for known in there.vms {
        let Some(vm) = &known.vm else { continue };
        for address in &known.from_here {
            let advice = if laptop.tailscale {
                Mend::Type("sudo tailscale set --accept-routes".to_owned())
            } else {
                format!(
                    "add a route to {address} by way of the hypervisor: `sudo ip route add {address} via ADDRESS`"
                )
                .into()
            };
            match laptop.routes.get(address) {
                None => {}
                Some(Route::Nowhere(why)) => list.error(
                    Trap::NoRoute,
                    Place::Laptop,
                    format!("checks of {vm} are made from here, and there is no route to {address}"),
                    format!("ip route get {address}: {why}"),
                    advice,
                ),
                Some(route @ Route::Way { gateway: Some(gateway), device })
                    if laptop.elsewhere.as_ref() == Some(route) && is_private(address) =>
                {
                    list.note(
                        Trap::DefaultRoute,
                        Place::Laptop,
                        format!("checks of {vm} are made from here, and what goes to {address} takes the way to the internet"),
                        format!("ip route get {address}: via {gateway} dev {device}"),
                        advice,
                    );
                    routed = true;
                }
                Some(Route::Way { .. }) => routed = true,
            }
        }
    }
    if routed && !there.exam.forwards && !list.typed.is_local() {
        list.error(
            Trap::NoForwarding,
            Place::Hypervisor,
            "the hypervisor does not pass packets on, so checks from here cannot reach the guests",
            "net.ipv4.ip_forward = 0",
            list.typed.once("sysctl -w net.ipv4.ip_forward=1"),
        );
    }
}

fn is_private(address: &str) -> bool {
    match address.parse() {
        // Also 100.64.0.0/10, which is carriers' and Tailscale's.
        Ok(IpAddr::V4(v4)) => v4.is_private() || v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64,
        Ok(IpAddr::V6(v6)) => v6.is_unique_local(),
        Err(_) => false,
    }
}

/// The taps of what runs, and the bridges that they are in.
pub(super) fn devices(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let mut bridges = BTreeSet::new();
    for (vm, exam) in &there.exam.vms {
        if there.observed.vms.get(vm).is_some_and(|found| found.is_running()) {
            bridges.extend(exam.booted_taps.iter().filter_map(|tap| tap_of(vm, tap, there, list)));
        }
    }
    for bridge in bridges {
        bridge_itself(bridge, there, list);
    }
}

/// Judges a tap; its bridge, if it is in one.
fn tap_of<'a>(vm: &VmName, tap: &str, there: &Hypervisor<'a>, list: &mut Findings<'_>) -> Option<&'a str> {
    let place = || Place::Vm(vm.clone());
    let Some(device) = there.exam.devices.get(tap) else {
        let mend = list.typed.deployvm(&format!("restart {vm}"));
        let what = format!("its tap {tap} is not there: the guest has no network");
        list.error(Trap::TapMissing, place(), what, format!("/sys/class/net/{tap} is missing"), mend);
        return None;
    };
    if !device.up {
        let mend = list.typed.once(format!("ip link set {} up", word(tap)));
        let what = format!("its tap {tap} is down: the guest has no network");
        list.error(Trap::TapDown, place(), what, format!("ip link show {tap}: not UP"), mend);
    }
    if device.bridge.is_none() && device.addresses.is_empty() {
        let known = there.vms.iter().find(|known| known.vm.as_ref() == Some(vm));
        let was = known.is_some_and(|known| known.bridged.iter().any(|bridged| bridged == tap));
        let evidence = match was {
            true => "it was in one when this generation was deployed",
            false => "it has no address of its own either, so it is not routed",
        };
        let address = known.and_then(|known| known.address);
        // That of its own network.
        let fits = |device: &Device| {
            device.kind == DeviceKind::Bridge && address.is_some_and(|address| device.leads_to(address))
        };
        let bridge = there.exam.devices.iter().find(|(_, device)| fits(device));
        let mend = if let Some((bridge, _)) = bridge {
            list.typed.once(format!("ip link set {} master {}", word(tap), word(bridge)))
        } else {
            let put = list.typed.once(format!("ip link set {} master BRIDGE", word(tap)));
            format!("put it into its bridge: `{put}`").into()
        };
        list.error(Trap::TapUnbridged, place(), format!("its tap {tap} is in no bridge"), evidence, mend);
    }
    device.bridge.as_deref()
}

fn bridge_itself(bridge: &str, there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let Some(device) = there.exam.devices.get(bridge) else { return };
    let mut ports = there.exam.devices.values().filter(|port| port.bridge.as_deref() == Some(bridge));
    if !device.up {
        let mend = list.typed.once(format!("ip link set {} up", word(bridge)));
        let what = format!("the bridge {bridge} is down: guests in it have no network");
        list.error(Trap::BridgeDown, Place::Hypervisor, what, format!("ip link show {bridge}: not UP"), mend);
    } else if device.addresses.is_empty() && ports.all(|port| port.kind == DeviceKind::Tap) {
        // One that leads to a real network needs no address of its own.
        let mend = if there.exam.networkd {
            list.typed.once(format!("networkctl reconfigure {}", word(bridge)))
        } else {
            let add = list.typed.once(format!("ip address add ADDRESS/24 dev {}", word(bridge)));
            format!("give it the address that its guests have as their gateway: `{add}`").into()
        };
        list.error(
            Trap::BridgeAddress,
            Place::Hypervisor,
            format!(
                "the bridge {bridge} has no address: guests in it reach nobody, and checks do not reach them"
            ),
            format!("ip address show dev {bridge}: no address"),
            mend,
        );
    }
}

/// Addresses that this machine itself has to reach for a VM: for its checks from here,
/// and where the way into its guest begins here.
pub fn needed_from_here(movement: &Move) -> Vec<String> {
    let mut all = BTreeSet::new();
    for check in movement.checks.iter().filter(|check| check.expect == Expect::Ok && !check.derived) {
        match check.from {
            From::Laptop => all.extend(address_of(&check.probe)),
            From::Vm if movement.guest.via == Some(Via::Laptop) => all.extend(movement.address.clone()),
            From::Vm | From::Hypervisor => {}
        }
    }
    all.into_iter().filter(|address| address.parse::<IpAddr>().is_ok()).collect()
}

fn address_of(probe: &Probe) -> Option<String> {
    match probe {
        Probe::Http { url, .. } => {
            let rest = url.split_once("://")?.1;
            let authority = rest.split(['/', '?', '#']).next()?;
            let host = authority.rsplit('@').next()?;
            let inner = host.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner);
            Some(inner.or_else(|| host.split(':').next())?.to_owned())
        }
        Probe::Tcp { host, .. } | Probe::Ping { host } => Some(host.trim_matches(['[', ']']).to_owned()),
        Probe::Dns { .. } | Probe::Exec { .. } => None,
    }
}
