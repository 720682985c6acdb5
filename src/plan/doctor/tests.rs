//! Every trap by itself: a hypervisor on which all is well, one thing changed, and
//! exactly that finding.

mod world;

use super::*;
use crate::model::exam::{Device, DeviceKind, Kvm, LedgerExam, Route, WantsKvm};
use crate::model::login::Takes;
use crate::model::observed::Mode;
use world::{World, device, failure, gone, healthy, login, name, open, path, way};

type Plant = fn(&mut World);

/// What makes each trap, and nothing else, appear.
const PLANTS: &[(Trap, Plant)] = &[
    (Trap::NixMissingHere, |w| w.laptop.nix = None),
    (Trap::NixOldHere, |w| w.laptop.nix_too_old = true),
    (Trap::NixStoreHere, |w| w.laptop.store = Some("cannot open".into())),
    (Trap::SshAgent, |w| w.laptop.dead_agent = Some("/tmp/agent.1".into())),
    (Trap::NoRoute, |w| w.needs_from_here(Route::Nowhere("Network is unreachable".into()))),
    (Trap::DefaultRoute, |w| {
        w.needs_from_here(way("192.168.1.1"));
        w.laptop.elsewhere = Some(way("192.168.1.1"));
    }),
    (Trap::NoWayIn, |w| w.trouble = Some((Trap::NoWayIn, failure()))),
    (Trap::NoAnswer, |w| w.trouble = Some((Trap::NoAnswer, failure()))),
    (Trap::LoginTalks, |w| w.login.noise = "Welcome!".into()),
    (Trap::NixPath, |w| w.login.nix = false),
    (Trap::NixDaemon, |w| w.exam.daemon_socket = Some("failed".into())),
    (Trap::Untrusted, |w| {
        (w.login.root, w.login.socket) = (false, true);
        w.who = Some(login(Takes::Signed(vec!["cache:AAA=".into()])));
    }),
    (Trap::NixMissing, |w| {
        gone(w).nix = None;
        gone(w).missing = vec!["nix".into(), "nix-env".into(), "nix-store".into()];
    }),
    (Trap::NixOld, |w| w.exam.old_nix = Some("2.3.16".into())),
    (Trap::FlakesOff, |w| w.exam.features = vec!["nix-command".into()]),
    (Trap::SystemdOld, |w| gone(w).systemd = 247),
    (Trap::ProgramMissing, |w| w.exam.lacks = vec!["curl".into()]),
    (Trap::HostModule, |w| w.exam.state_directory = None),
    (Trap::Clock, |w| w.exam.clock_ahead = Some(-3600)),
    (Trap::Disk, |w| w.exam.disks[0].free = 1 << 30),
    (Trap::Inodes, |w| w.exam.disks[3].inodes_free = 10),
    (Trap::NotPersistent, |w| {
        (w.exam.disks[2].kind, w.exam.disks[2].id) = ("tmpfs".into(), "d".into());
    }),
    (Trap::ReadOnly, |w| w.exam.read_only = Some("/var/lib/deployvm".into())),
    (Trap::Kvm, |w| {
        w.exam.kvm = Kvm::Missing;
        w.exam1().wants_kvm = WantsKvm::Needs;
    }),
    (Trap::HostUnit, |w| w.exam.failed = vec!["systemd-networkd.service".into()]),
    (Trap::UnitFailed, |w| w.exam.failed = vec!["microvm-virtiofsd@vm1.service".into()]),
    (Trap::RestartLoop, |w| (w.vm1().unit.restarts, w.vm1().unit.age) = (7, Some(4))),
    (Trap::TapMissing, |w| drop(w.exam.devices.remove("vm-vm1"))),
    (Trap::TapDown, |w| w.device("vm-vm1").up = false),
    (Trap::TapUnbridged, |w| w.device("vm-vm1").bridge = None),
    (Trap::BridgeDown, |w| w.device("br-a").up = false),
    (Trap::BridgeAddress, |w| w.device("br-a").addresses.clear()),
    (Trap::NoForwarding, |w| {
        w.needs_from_here(way("10.99.0.2"));
        w.exam.forwards = false;
    }),
    (Trap::DirectoryUnwritable, |w| w.exam1().writable = false),
    (Trap::DirectoryLinked, |w| assert!(w.observed.linked.insert(name("vm3")))),
    (Trap::OddName, |w| w.observed.odd_names = vec!["a b".into()]),
    (Trap::InstallSkipped, |w| {
        w.exam.installs.insert(name("vm3"), true);
        w.exam.vms.insert(name("vm3"), VmExam { writable: true, ..VmExam::default() });
    }),
    (Trap::HostOwned, |w| w.vm1().mode = Mode::HostOwned),
    (Trap::HostReverts, |w| {
        w.vm1().mode = Mode::HostOwned;
        (w.exam1().toplevel, w.exam1().system) = (Some("/nix/store/a".into()), Some("/nix/store/b".into()));
    }),
    (Trap::CurrentMissing, |w| (w.vm1().current, w.vm1().current_valid) = (None, false)),
    (Trap::CurrentDangling, |w| w.vm1().current_valid = false),
    (Trap::ExtraHop, |w| {
        w.vm1().current = Some("/var/lib/deployvm/profiles/vm1".into());
        w.vm1().current_valid = false;
        w.exam1().ends_at = Some(path("microvm-qemu-vm1"));
    }),
    (Trap::BootedDangling, |w| w.vm1().booted_valid = false),
    (Trap::Stale, |w| {
        let next = path("microvm-qemu-next");
        w.vm1().current = Some(next.to_string());
        w.vm1().generations.push((2, next));
    }),
    (Trap::OtherRuns, |w| w.vm1().running = Some(path("microvm-qemu-other"))),
    (Trap::RootMissing, |w| w.exam1().root_booted = None),
    (Trap::FlakeMissing, |w| w.vm1().flake = None),
    (Trap::FlakeUnusable, |w| w.vm1().flake = Some("git+file:///home/me/infra".into())),
    (Trap::NotAtBoot, |w| w.vm1().autostart = false),
    (Trap::NoGeneration, |w| w.vm1().generations = vec![(1, path("microvm-qemu-old"))]),
    (Trap::GenerationLost, |w| {
        w.vm1().generations.push((2, path("microvm-qemu-gone")));
        w.exam.lost = vec![path("microvm-qemu-gone").to_string()];
    }),
    (Trap::SameMac, |w| w.exam1().macs = vec!["02:00:00:00:00:02".into()]),
    (Trap::SameTap, |w| w.exam1().taps = vec!["vm-vm2".into()]),
    (Trap::SameCid, |w| w.exam1().cid = Some(2)),
    (Trap::CheckCannotRun, |w| w.vms[0].refused = Some(("no curl".into(), "install curl".into()))),
    (Trap::GuestSilent, |w| w.vms[0].silent = Some("vm1 does not answer now".into())),
    (Trap::TransactionLeft, |w| w.observed.open = open(false)),
    (Trap::GuardLeft, |w| w.exam.guards = vec!["deployvm-guard-vm1-20260101t000000z-abc.timer".into()]),
    (Trap::RootLeft, |w| w.exam.roots_left = vec!["20260101t000000z-abc-pending-1".into()]),
    (Trap::LedgerUnreadable, |w| w.exam.ledger = LedgerExam::Odd("directory".into())),
    (Trap::LedgerTorn, |w| w.exam.ledger = LedgerExam::Lines { bad: 1, first: "{\"id\"".into() }),
];

#[test]
fn nothing_is_said_where_all_is_well() {
    assert_eq!(healthy().judge(), []);
}

#[test]
fn every_trap_is_found_and_no_other() {
    for (trap, plant) in PLANTS {
        let mut world = healthy();
        plant(&mut world);
        let found = world.judge();
        let ids: Vec<Trap> = found.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, [*trap], "{found:#?}");
        let finding = &found[0];
        assert!(!finding.what.is_empty() && !finding.what.ends_with('.'), "{finding:?}");
        assert!(!finding.mend.to_string().is_empty(), "{finding:?}");
    }
    let planted: Vec<Trap> = PLANTS.iter().map(|(trap, _)| *trap).collect();
    assert_eq!(planted, Trap::ALL, "a trap that nobody plants");
}

#[test]
fn what_somebody_works_on_is_not_judged_by_its_links() {
    for locked in [true, false] {
        let mut world = healthy();
        (world.vm1().current_valid, world.vm1().booted_valid) = (false, false);
        world.exam.roots_left = vec!["20260101t000000z-abc-pending-1".into()];
        world.exam.guards = vec!["deployvm-guard-vm1-20260101t000000z-abc.timer".into()];
        if locked {
            world.vm1().locked = Some("me".into());
        }
        world.observed.open = open(true);
        assert_eq!(world.judge(), []);
    }
}

#[test]
fn severities_follow_what_happens_next() {
    let severity = |plant: Plant| {
        let mut world = healthy();
        plant(&mut world);
        world.judge()[0].severity
    };
    assert_eq!(severity(|w| (w.vm1().unit.restarts, w.vm1().unit.age) = (7, Some(4))), Severity::Warning);
    assert_eq!(
        severity(|w| (w.vm1().unit.restarts, w.vm1().unit.sub) = (2, "auto-restart".into())),
        Severity::Error
    );
    assert_eq!(severity(|w| w.exam.clock_ahead = Some(15)), Severity::Warning);
    assert_eq!(severity(|w| w.exam.clock_ahead = Some(400)), Severity::Error);
    assert_eq!(severity(|w| w.exam.disks[0].free = 7 << 30), Severity::Warning);
    assert_eq!(severity(|w| w.exam.disks[0].free = 1 << 30), Severity::Error);
    assert_eq!(severity(|w| w.exam1().root_current = None), Severity::Warning);
    assert_eq!(
        severity(|w| {
            w.exam1().root_current = None;
            w.vm1().generations.clear();
        }),
        Severity::Error
    );
    assert_eq!(
        severity(|w| {
            w.exam.kvm = Kvm::Denied("root:root 600".into());
            w.exam1().wants_kvm = WantsKvm::Prefers;
        }),
        Severity::Warning
    );
    assert_eq!(severity(|w| gone(w).missing = vec!["flock".into()]), Severity::Error);
}

#[test]
fn what_is_no_trap_is_not_told() {
    let quiet: &[Plant] = &[
        // Nobody asked for KVM.
        |w| w.exam.kvm = Kvm::Missing,
        // Routed, not bridged.
        |w| *w.device("vm-vm1") = Device { kind: DeviceKind::Tap, ..device(DeviceKind::Bridge, None) },
        // The bridge leads to a real network.
        |w| {
            w.device("br-a").addresses.clear();
            w.exam.devices.insert("eno1".into(), device(DeviceKind::Other, Some("br-a")));
        },
        // Never touched by deployvm: adopted with the first push.
        |w| (w.vm1().generations, w.vm1().generation) = (Vec::new(), None),
        // Both are forgotten: nothing is left that would miss the other.
        |w| {
            for at in [1, 2] {
                w.exam.disks[at].kind = "tmpfs".into();
            }
        },
        // It is asked from the hypervisor alone.
        |w| w.exam.forwards = false,
        // An own subnet route, or Tailscale's.
        |w| {
            w.needs_from_here(way("10.99.0.2"));
            w.laptop.elsewhere = Some(way("192.168.1.1"));
        },
        |w| w.exam.failed = vec!["backup.service".into()],
        |w| (w.exam.microvm, w.exam.features) = (false, vec![]),
        |w| w.exam.disks.iter_mut().for_each(|disk| (disk.inodes, disk.inodes_free) = (0, 0)),
        |w| (w.login.root, w.login.socket, w.who) = (false, true, Some(login(Takes::Everything))),
        |w| w.vm1().flake = Some("github:me/infra".into()),
        // One fall, or a reboot inside, is no loop.
        |w| {
            let unit = &mut w.vm1().unit;
            (unit.sub, unit.main_pid, unit.age) = ("auto-restart".into(), None, None);
        },
        |w| (w.vm1().unit.restarts, w.vm1().unit.age) = (2, Some(4)),
    ];
    for (at, plant) in quiet.iter().enumerate() {
        let mut world = healthy();
        plant(&mut world);
        assert_eq!(world.judge(), [], "{at}");
    }
}

#[test]
fn a_tap_goes_into_the_bridge_of_its_own_network() {
    for (address, mend) in [
        ("10.1.0.2", "ssh root@hv 'ip link set vm-vm1 master br-a'"),
        ("10.2.0.2", "put it into its bridge: `ssh root@hv 'ip link set vm-vm1 master BRIDGE'`"),
    ] {
        let mut world = healthy();
        world.device("vm-vm1").bridge = None;
        world.vms[0].address = Some(address.parse().unwrap());
        assert_eq!(world.judge()[0].mend.to_string(), mend);
    }
}

#[test]
fn what_others_say_cannot_drive_a_terminal_or_a_shell() {
    let mut world = healthy();
    world.vm1().flake = Some("\u{1b}[2J/x\u{202e}".into());
    world.exam.failed = vec!["sshd'; rm -rf \u{7}.service".into()];
    world.exam.guards = vec!["deployvm-guard-$(x).timer".into()];
    for finding in world.judge() {
        let all = format!("{}{}", finding.what, finding.evidence);
        assert!(!all.chars().any(crate::error::drives), "{finding:?}");
        assert!(!finding.mend.to_string().contains(" $("), "{finding:?}");
    }
}

#[test]
fn a_flake_file_that_a_push_wrote_is_worth_a_note() {
    let severity = |flake: Option<&str>, generation| {
        let mut world = healthy();
        world.flake = flake.map(str::to_owned);
        world.vm1().flake = Some("git+file:///home/me/infra".into());
        world.vm1().generation = generation;
        world.judge().into_iter().find(|f| f.id == Trap::FlakeUnusable).unwrap()
    };
    assert_eq!(severity(None, Some(1)).severity, Severity::Note);
    assert_eq!(severity(None, None).severity, Severity::Warning);
    assert_eq!(severity(Some("git+https://example.org/infra"), Some(1)).severity, Severity::Warning);
    insta::assert_snapshot!(severity(None, Some(1)).mend, @r#"
    nothing, where only deployvm deploys: no command of it reads or changes the file of a VM that is there
    for `microvm -u`, give it a reference that the hypervisor can fetch: `ssh root@hv 'echo git+https://example.org/infra >/var/lib/microvms/vm1/flake'`
    for VMs to come, say the same in deployvm.toml:
    [hypervisors.main]
    address = "root@hv"
    flake = "git+https://example.org/infra"
    "#);
}
