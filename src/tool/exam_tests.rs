//! `doctor.sh`'s answer: real samples, and anything at all.

use super::*;
use proptest::prelude::*;

fn fields(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().flat_map(|(key, value)| [(*key).to_owned(), (*value).to_owned()]).collect()
}

#[test]
fn reads_what_the_login_finds() {
    let found = login(
        &fields(&[
            ("login_nix", "/usr/bin/nix-daemon\n/usr/bin/nix-store"),
            ("login_path", "/usr/bin:/bin"),
            ("login_uid", "0"),
        ]),
        "hello",
    );
    assert_eq!((found.nix, found.root, found.socket, found.noise.as_str()), (true, true, false, "hello"));
    assert!(!login(&fields(&[("login_nix", "/usr/bin/nix-daemon")]), "").nix);
}

#[test]
fn reads_a_hypervisor() {
    let templates = "User=\nGroup=\nId=microvm@deployvm-doctor.service\nLoadState=loaded\nActiveState=inactive\n\n\
        User=microvm\nGroup=kvm\nId=microvm-set-booted@deployvm-doctor.service\nLoadState=loaded\nActiveState=inactive";
    let services = "Id=systemd-networkd.service\nLoadState=loaded\nActiveState=active\n\n\
        Id=nix-daemon.socket\nLoadState=not-found\nActiveState=inactive";
    let exam = host(
        &fields(&[
            ("now", "1030"),
            ("disk", "/nix/store 5f1a 4096 100 50 1000 900 tmpfs"),
            ("disk", "/run "),
            ("templates", templates),
            ("services", services),
            ("failed", "a.service\nmicrovm@vm1.service"),
            ("at_boot", "multi-user.target "),
            ("install", "vm3 once"),
            ("kvm", "denied root:root 600"),
            ("addresses", "lo 127.0.0.1/8\nbr-vm1 10.1.0.1/24\nbr-vm1 fe80::1/64\ntun0 10.9.0.1"),
            ("device", "br-vm1 0x1003 bridge "),
            ("device", "vm-vm1 0x1002 tap br-vm1"),
            ("device", "lo 0x9 other "),
            ("forwarding", "1"),
            ("ledger", "file 30 0"),
            ("ledger_end", "{\"id\":\"a\",\"vm\":\"vm1\"}\nnonsense\n{\"id\":"),
            ("vm", "vm1"),
            ("owner", "microvm:kvm 775"),
            ("writable", "yes"),
            ("taps", "vm-vm1\n"),
            ("run", "qemu -accel tcg -device virtio,mac=02:00:00:00:00:01"),
            ("vm", "no name"),
            ("owner", "root:root 700"),
            ("lost", "/nix/store/a /nix/store/b"),
        ]),
        990,
        1000,
    );
    assert_eq!(exam.clock_ahead, Some(30));
    assert_eq!((exam.disks.len(), exam.disks[0].free, exam.disks[0].kind.as_str()), (1, 204_800, "tmpfs"));
    assert!(exam.has_units && exam.networkd && exam.starts_vms && exam.forwards);
    assert_eq!((exam.writer, exam.daemon_socket), (Some(("microvm".to_owned(), "kvm".to_owned())), None));
    assert_eq!(exam.kvm, Kvm::Denied("root:root 600".to_owned()));
    assert_eq!(exam.installs.values().collect::<Vec<_>>(), [&true]);
    let tap = &exam.devices["vm-vm1"];
    assert_eq!((tap.kind, tap.up, tap.bridge.as_deref()), (DeviceKind::Tap, false, Some("br-vm1")));
    assert!(exam.devices["br-vm1"].up && exam.devices["br-vm1"].addresses.len() == 2);
    let leads = |address: &str| exam.devices["br-vm1"].leads_to(address.parse().unwrap());
    assert!(leads("10.1.0.2") && leads("fe80::2") && !leads("10.2.0.2") && !leads("::1"));
    assert_eq!(exam.ledger, LedgerExam::Lines { bad: 2, first: "nonsense".to_owned() });
    assert_eq!((exam.vms.len(), exam.lost.len()), (1, 2));
    let vm1 = &exam.vms[&"vm1".parse().unwrap()];
    assert!(vm1.writable && vm1.owner == "microvm:kvm 775");
    assert_eq!((vm1.taps.as_slice(), vm1.macs.len()), (["vm-vm1".to_owned()].as_slice(), 1));
}

#[test]
fn a_clock_is_wrong_by_what_the_answer_did_not_take() {
    for (now, difference) in [(80, -10), (90, 0), (95, 0), (100, 0), (107, 7)] {
        assert_eq!(ahead(now, 90, 100), difference);
    }
}

#[test]
fn a_ledger_is_judged_by_its_whole_lines() {
    let entry = "{\"id\":\"a\",\"vm\":\"vm1\"}";
    let bad = |what: &str, end: &str| match ledger(what, end) {
        LedgerExam::Lines { bad, .. } => bad,
        other => panic!("{other:?}"),
    };
    assert_eq!(bad("file 30 1", entry), 0);
    assert_eq!(bad("file 0 0", ""), 0);
    assert_eq!(bad("file 30 0", entry), 1);
    assert_eq!(bad("file 70000 1", &format!("half\n{entry}")), 0);
    assert_eq!(ledger("", ""), LedgerExam::None);
    assert_eq!(ledger("other directory", ""), LedgerExam::Odd("directory".to_owned()));
}

proptest! {
    #[test]
    fn takes_anything(pairs in proptest::collection::vec(("(vm|disk|device|ledger|kvm|now|install|lost|run)", "(?s:.){0,30}"), 0..12)) {
        let fields: Vec<String> = pairs.into_iter().flat_map(|(key, value)| [key, value]).collect();
        let _ = (host(&fields, 0, u64::MAX), login(&fields, ""));
    }
}
