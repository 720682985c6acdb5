//! The hypervisor as a machine: what is installed, its clock, its disks, its units.

use super::{Findings, Hypervisor};
use crate::model::exam::{Disk, Kvm, WantsKvm};
use crate::model::finding::{Mend, Place, Severity, Trap};

/// The oldest systemd that has what a transaction needs.
const OLDEST_SYSTEMD: u32 = 252;
/// Seconds that clocks may differ, and from which on more than ledgers suffers (TLS).
const CLOCK: (u64, u64) = (10, 300);
const GIB: u64 = 1 << 30;
/// Units without which VMs have no network, or nobody gets in.
const OF_INTEREST: &[&str] = &[
    "bridge",
    "comin",
    "dnsmasq",
    "firewall",
    "iptables",
    "kea",
    "netdev",
    "network",
    "nftables",
    "nix-daemon",
    "resolved",
    "sshd.",
    "tailscale",
    "unbound",
];

/// The host's own traps.
pub(super) fn judge(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    installed(there, list);
    clock(there, list);
    for disk in &there.exam.disks {
        room(disk, there, list);
    }
    persistence(there, list);
    units(there, list);
    kvm(there, list);
}

fn installed(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let (facts, exam, place) = (&there.observed.host, there.exam, Place::Hypervisor);
    if facts.nix.is_none() {
        list.error(
            Trap::NixMissing,
            place.clone(),
            "there is no nix on the hypervisor",
            "looked in /run/current-system/sw/bin, /nix/var/nix/profiles/default/bin and the usual places",
            "install Nix there, as https://nixos.org/download says",
        );
    } else if let Some(version) = &exam.old_nix {
        let what = "the hypervisor's Nix is too old: deployvm needs 2.8 or later";
        list.error(Trap::NixOld, place.clone(), what, version, "update the hypervisor's system");
    }
    if facts.systemd < OLDEST_SYSTEMD {
        let what = format!("the hypervisor's systemd is older than {OLDEST_SYSTEMD}");
        let evidence = format!("systemd {}", facts.systemd);
        list.error(Trap::SystemdOld, place.clone(), what, evidence, "update the hypervisor's system");
    }
    let how = if exam.nixos { "every NixOS host has these: see environment.systemPackages" } else { "" };
    // Nix was missed above.
    let missing: Vec<&str> =
        facts.missing.iter().map(String::as_str).filter(|program| !program.starts_with("nix")).collect();
    for (programs, severity, what) in [
        (missing, Severity::Error, "a deployment needs programs that the hypervisor does not have"),
        (
            exam.lacks.iter().map(String::as_str).filter(|p| !facts.missing.iter().any(|m| m == p)).collect(),
            Severity::Warning,
            "checks use programs that the hypervisor does not have",
        ),
    ] {
        if programs.is_empty() {
            continue;
        }
        let names = programs.join(", ");
        let mend = if how.is_empty() { format!("install {names} there") } else { how.to_owned() };
        list.add(severity, Trap::ProgramMissing, place.clone(), what, names, mend);
    }
    if exam.state_directory.is_none() || !exam.has_units {
        list.error(
            Trap::HostModule,
            place.clone(),
            "microvm.nix's host module is not there: no VM can be started",
            match (&exam.state_directory, exam.has_units) {
                (None, _) => "there is no /var/lib/microvms",
                _ => "systemd knows no microvm@.service",
            },
            "import microvm.nixosModules.host in the hypervisor's configuration, and switch to it",
        );
    }
    if exam.microvm && !exam.features.is_empty() && !exam.features.iter().any(|f| f == "flakes") {
        list.warning(
            Trap::FlakesOff,
            place,
            "flakes are off there, so `microvm -u` and `microvm -l` cannot work",
            format!("experimental-features = {}", exam.features.join(" ")),
            if exam.nixos {
                Mend::from("add \"nix-command\" and \"flakes\" to nix.settings.experimental-features")
            } else {
                let line = "extra-experimental-features = nix-command flakes";
                list.typed.write(line, "/etc/nix/nix.conf", true)
            },
        );
    }
}

fn clock(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let Some(ahead) = there.exam.clock_ahead.filter(|s| s.unsigned_abs() >= CLOCK.0) else { return };
    let severity = if ahead.unsigned_abs() >= CLOCK.1 { Severity::Error } else { Severity::Warning };
    let which = if ahead > 0 { "ahead of" } else { "behind" };
    list.add(
        severity,
        Trap::Clock,
        Place::Hypervisor,
        "the clocks of laptop and hypervisor differ: ages, times in the ledger and TLS go wrong",
        format!("the hypervisor's is {} s {which} this machine's", ahead.unsigned_abs()),
        list.typed.once("timedatectl set-ntp true"),
    );
}

/// How bad it is that so much is left: nothing, or something to be told.
fn scarcity(free: u64, total: u64, enough: u64) -> Option<Severity> {
    let tenths = |parts: u64| free.saturating_mul(100) < total.saturating_mul(parts);
    if total == 0 {
        None
    } else if tenths(2) && free < enough / 4 {
        Some(Severity::Error)
    } else {
        (tenths(10) && free < enough).then_some(Severity::Warning)
    }
}

fn room(disk: &Disk, there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    // One file system, one finding.
    let first = there.exam.disks.iter().find(|other| other.id == disk.id);
    if first.is_some_and(|first| first.place != disk.place) {
        return;
    }
    let places: Vec<&str> =
        there.exam.disks.iter().filter(|d| d.id == disk.id).map(|d| d.place.as_str()).collect();
    let places = places.join(", ");
    let mend = || match disk.place.as_str() {
        "/nix/store" => list.typed.once("nix-collect-garbage"),
        place => format!("see what takes it: `{}`", list.typed.once(format!("du -xh -d 2 {place}"))).into(),
    };
    // A store that is part of a larger disk is emptied first as well.
    if let Some(severity) = scarcity(disk.free, disk.total, 8 * GIB) {
        let evidence = format!("{} MiB of {} are free ({})", disk.free >> 20, disk.total >> 20, disk.kind);
        let (what, mend) = (format!("little room is left for {places}"), mend());
        list.add(severity, Trap::Disk, Place::Hypervisor, what, evidence, mend);
    }
    if let Some(severity) = scarcity(disk.inodes_free, disk.inodes, 100_000) {
        let evidence = format!("{} of {} inodes are free ({})", disk.inodes_free, disk.inodes, disk.kind);
        let (what, mend) = (format!("few more files can be made for {places}"), mend());
        list.add(severity, Trap::Inodes, Place::Hypervisor, what, evidence, mend);
    }
}

fn persistence(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let exam = there.exam;
    let kind = |place: &str| exam.disks.iter().find(|d| d.place == place).map(|d| d.kind.as_str());
    let forgets = |kind: Option<&str>| matches!(kind, Some("tmpfs" | "ramfs"));
    let (own, vms) = (kind("/var/lib/deployvm"), kind("/var/lib/microvms"));
    if forgets(own) && !forgets(vms) {
        list.error(
            Trap::NotPersistent,
            Place::Hypervisor,
            "/var/lib/deployvm is forgotten at a reboot, and with it generations, their roots and the ledger",
            format!("it is on {}, /var/lib/microvms on {}", own.unwrap_or("?"), vms.unwrap_or("?")),
            "keep /var/lib/deployvm where /var/lib/microvms is kept, such as in environment.persistence",
        );
    }
    if let Some(place) = &exam.read_only {
        list.error(
            Trap::ReadOnly,
            Place::Hypervisor,
            format!("{place} cannot be written"),
            "it is on a file system that is mounted read-only",
            list.typed.once(format!("mount -o remount,rw {}", crate::model::argv::word(place))),
        );
    }
}

fn units(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    for unit in &there.exam.failed {
        let mine = unit.contains("microvm") || unit.starts_with("deployvm-");
        if mine || !OF_INTEREST.iter().any(|word| unit.contains(word)) {
            continue;
        }
        let unit = crate::model::argv::word(unit);
        list.warning(
            Trap::HostUnit,
            Place::Hypervisor,
            format!("{unit} has failed, and VMs or logins may depend on it"),
            list.typed.once(format!("systemctl status {unit}")).to_string(),
            list.typed.once(format!("systemctl restart {unit}")),
        );
    }
}

fn kvm(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let wants = |what: WantsKvm| {
        let all = there.exam.vms.iter().filter(move |(_, exam)| exam.wants_kvm == what);
        all.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let typed = list.typed;
    let (evidence, mend) = match &there.exam.kvm {
        Kvm::Usable => return,
        Kvm::Missing => (
            "there is no /dev/kvm".to_owned(),
            Mend::from("turn virtualisation on in the firmware, and load kvm_intel or kvm_amd"),
        ),
        Kvm::Denied(owner) => (
            format!("/dev/kvm is {owner}"),
            typed.there(&["chgrp kvm /dev/kvm".to_owned(), "chmod 0660 /dev/kvm".to_owned()]),
        ),
    };
    let (needs, prefers) = (wants(WantsKvm::Needs), wants(WantsKvm::Prefers));
    if !needs.is_empty() {
        let what = format!("VMs cannot use KVM, without which these do not start: {}", needs.join(", "));
        list.error(Trap::Kvm, Place::Hypervisor, what, evidence, mend);
    } else if !prefers.is_empty() {
        let what = format!("VMs cannot use KVM, without which these are slow: {}", prefers.join(", "));
        list.warning(Trap::Kvm, Place::Hypervisor, what, evidence, mend);
    }
}
