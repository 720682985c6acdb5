//! A laptop, and a hypervisor with two VMs, where all is well.

use std::collections::BTreeMap;

use super::super::*;
use crate::error::Aftermath;
use crate::model::exam::{Device, DeviceKind, Disk, LedgerExam, Route};
use crate::model::login::{Elevate, Takes};
use crate::model::observed::{HostFacts, Mode, OpenTransaction, Unit};
use crate::model::store_path::StorePath;

pub(super) struct World {
    pub(super) laptop: LaptopExam,
    pub(super) observed: Observed,
    pub(super) exam: HostExam,
    pub(super) login: LoginExam,
    pub(super) who: Option<Login>,
    pub(super) flake: Option<String>,
    pub(super) name: Option<String>,
    pub(super) vms: Vec<Known>,
    pub(super) trouble: Option<(Trap, Failure)>,
}

pub(super) fn path(name: &str) -> StorePath {
    format!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-{name}").parse().unwrap()
}

pub(super) fn name(vm: &str) -> VmName {
    vm.parse().unwrap()
}

pub(super) fn disk(place: &str, id: &str) -> Disk {
    let (total, free) = (100 << 30, 50 << 30);
    Disk {
        place: place.into(),
        id: id.into(),
        kind: "ext2/ext3".into(),
        total,
        free,
        inodes: 1_000_000,
        inodes_free: 900_000,
    }
}

pub(super) fn device(kind: DeviceKind, bridge: Option<&str>) -> Device {
    let addresses =
        if kind == DeviceKind::Bridge { vec![("10.1.0.1".parse().unwrap(), 24)] } else { Vec::new() };
    Device { kind, up: true, bridge: bridge.map(str::to_owned), addresses }
}

/// vm1 runs, vm2 is stopped.
pub(super) fn healthy() -> World {
    let mut world = World {
        laptop: LaptopExam { nix: Some("2.26.3".into()), ..LaptopExam::default() },
        observed: Observed {
            host: HostFacts { nix: Some("nix (Nix) 2.26.3".into()), systemd: 256, ..HostFacts::default() },
            ..Observed::default()
        },
        exam: HostExam {
            clock_ahead: Some(2),
            microvm: true,
            features: vec!["flakes".into(), "nix-command".into()],
            disks: [
                ("/nix/store", "a"),
                ("/var/lib/microvms", "b"),
                ("/var/lib/deployvm", "b"),
                ("/run", "c"),
            ]
            .map(|(place, id)| disk(place, id))
            .to_vec(),
            has_units: true,
            writer: Some(("microvm".into(), "kvm".into())),
            networkd: true,
            starts_vms: true,
            forwards: true,
            ledger: LedgerExam::Lines { bad: 0, first: String::new() },
            state_directory: Some("microvm:kvm 775".into()),
            ..HostExam::default()
        },
        login: LoginExam { nix: true, root: true, ..LoginExam::default() },
        who: None,
        flake: Some("git+https://example.org/infra".into()),
        name: None,
        vms: Vec::new(),
        trouble: None,
    };
    for vm in ["vm1", "vm2"] {
        let runner = path(&format!("microvm-qemu-{vm}"));
        let running = vm == "vm1";
        let unit = Unit {
            active: if running { "active" } else { "inactive" }.into(),
            sub: if running { "running" } else { "dead" }.into(),
            main_pid: running.then_some(42),
            restarts: 1,
            age: running.then_some(3600),
            ..Unit::default()
        };
        let found = Found {
            current: Some(runner.to_string()),
            booted: running.then(|| runner.to_string()),
            flake: Some("git+https://example.org/infra".into()),
            mode: Mode::Imperative,
            autostart: running,
            unit,
            running: running.then(|| runner.clone()),
            current_valid: true,
            booted_valid: running,
            generations: vec![(1, runner)],
            generation: Some(1),
            generation_times: vec![0],
            pins: Vec::new(),
            locked: None,
            mem: None,
        };
        world.observed.vms.insert(name(vm), found);
        let tap = format!("vm-{vm}");
        let exam = VmExam {
            owner: "microvm:kvm 775".into(),
            writable: true,
            root_current: Some(format!("/var/lib/microvms/{vm}/current")),
            root_booted: Some(format!("/var/lib/microvms/{vm}/booted")),
            kind: "qemu".into(),
            taps: vec![tap.clone()],
            booted_taps: if running { vec![tap.clone()] } else { Vec::new() },
            macs: vec![format!("02:00:00:00:00:0{}", &vm[2..])],
            cid: vm[2..].parse().ok(),
            ..VmExam::default()
        };
        world.exam.vms.insert(name(vm), exam);
        world.vms.push(Known { vm: Some(name(vm)), bridged: vec![tap], ..Known::default() });
    }
    world.exam.devices = BTreeMap::from([
        ("br-a".to_owned(), device(DeviceKind::Bridge, None)),
        ("vm-vm1".to_owned(), device(DeviceKind::Tap, Some("br-a"))),
    ]);
    world
}

impl World {
    pub(super) fn judge(&self) -> Vec<Finding> {
        let hypervisor = Hypervisor {
            observed: &self.observed,
            exam: &self.exam,
            login: &self.login,
            who: self.who.as_ref(),
            flake: self.flake.as_deref(),
            name: self.name.as_deref(),
            vms: &self.vms,
        };
        judge(&Case {
            laptop: &self.laptop,
            hypervisor: self.trouble.is_none().then_some(hypervisor),
            trouble: self.trouble.as_ref().map(|(trap, failure)| (*trap, failure)),
            typed: Typed::new(&"root@hv".parse().unwrap(), None, None),
        })
    }

    pub(super) fn vm1(&mut self) -> &mut Found {
        self.observed.vms.get_mut(&name("vm1")).unwrap()
    }

    pub(super) fn exam1(&mut self) -> &mut VmExam {
        self.exam.vms.get_mut(&name("vm1")).unwrap()
    }

    pub(super) fn device(&mut self, device: &str) -> &mut Device {
        self.exam.devices.get_mut(device).unwrap()
    }

    /// A check of vm1 is made from the laptop.
    pub(super) fn needs_from_here(&mut self, route: Route) {
        self.vms[0].from_here = vec!["10.1.0.2".into()];
        self.laptop.routes.insert("10.1.0.2".into(), route);
    }
}

pub(super) fn way(gateway: &str) -> Route {
    Route::Way { gateway: Some(gateway.into()), device: "eth0".into() }
}

pub(super) fn failure() -> Failure {
    Failure::new(Aftermath::Unreachable, "hv does not accept your key").help("try ssh hv true")
}

pub(super) fn gone(world: &mut World) -> &mut HostFacts {
    &mut world.observed.host
}

pub(super) fn open(alive: bool) -> Vec<OpenTransaction> {
    vec![OpenTransaction { id: "20260101t000000z-abc".into(), vm: "vm1".into(), alive }]
}

pub(super) fn login(takes: Takes) -> Login {
    Login {
        user: "deploy".into(),
        host: "hv".into(),
        tools: vec![Elevate::Sudo],
        entry: false,
        xargs: "/usr/bin/xargs".into(),
        nixos: false,
        takes,
    }
}
