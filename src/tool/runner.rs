//! What can be read off a runner's own program, `bin/microvm-run`, whichever VMM it
//! starts: MAC addresses, taps, the vsock context id, and whether it wants KVM.

use std::collections::BTreeSet;

use super::nix::eval::is_device;
use crate::model::exam::WantsKvm;

/// VMMs that are nothing without KVM.
const KVM_ONLY: &[&str] = &["cloud-hypervisor", "firecracker", "crosvm", "kvmtool", "stratovirt", "alioth"];

/// Its words and the parts of its options: `tap,id=a,ifname=a` are three.
fn options(script: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = script.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ',' | '\\'));
    parts.filter_map(|part| part.split_once('='))
}

/// MAC addresses, lower case, each once.
pub fn macs(script: &str) -> Vec<String> {
    let named = options(script).filter(|(key, _)| key.trim_start_matches('-').ends_with("mac"));
    let macs = named.map(|(_, value)| value.to_ascii_lowercase()).filter(|value| is_mac(value));
    macs.collect::<BTreeSet<_>>().into_iter().collect()
}

fn is_mac(text: &str) -> bool {
    let byte = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(':').count() == 6 && text.split(':').all(byte)
}

/// Taps: those of its own list, and those that its program names.
pub fn taps(listed: &str, script: &str) -> Vec<String> {
    let keys = ["ifname", "tap", "--tap", "tap-name", "--tap-name", "tapif"];
    let named = options(script).filter(|(key, _)| keys.contains(key)).map(|(_, value)| value);
    let all = listed.split_whitespace().chain(named).filter(|tap| is_device(tap));
    all.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The vsock context id.
pub fn cid(listed: &str, script: &str) -> Option<u64> {
    let named = || {
        let cids = options(script).filter(|(key, _)| matches!(*key, "guest-cid" | "cid" | "--cid"));
        cids.map(|(_, value)| value).find_map(|value| value.parse().ok())
    };
    listed.trim().parse().ok().or_else(named)
}

/// What it wants of KVM.
pub fn wants_kvm(kind: &str, script: &str) -> WantsKvm {
    if KVM_ONLY.contains(&kind.trim()) {
        return WantsKvm::Needs;
    }
    let mut words = script.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"'));
    if words.any(|word| matches!(word, "-enable-kvm" | "--enable-kvm")) {
        return WantsKvm::Needs;
    }
    let accelerators = || options(script).filter(|(key, _)| *key == "accel").map(|(_, value)| value);
    let words: Vec<&str> = script.split_whitespace().collect();
    let given = words.windows(2).filter_map(|pair| match pair {
        ["-accel" | "--accel", name] => name.split(',').next(),
        _ => None,
    });
    let all: Vec<&str> = accelerators().chain(given).collect();
    let first = all.first().map(|value| value.trim_matches(['\'', '"']));
    match first {
        Some("kvm") if all.len() == 1 => WantsKvm::Needs,
        Some(value) if value.split(':').next() == Some("kvm") => WantsKvm::Prefers,
        _ => WantsKvm::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QEMU: &str = r#"#!/bin/sh
        exec -a "microvm@web" /nix/store/0-qemu/bin/qemu-system-x86_64 -name web \
        -M 'microvm,accel=kvm:tcg,acpi=on,mem-merge=on' -m 512 -smp 1 \
        -netdev 'tap,id=vm-web,ifname=vm-web,script=no,downscript=no' \
        -device 'virtio-net-device,netdev=vm-web,mac=02:00:00:00:00:0A' \
        -device 'vhost-vsock-device,guest-cid=7'"#;
    const CLOUD: &str = r#"/nix/store/0-ch/bin/cloud-hypervisor --cpus boot=1 --net "tap=vm-b,mac=02:00:00:00:00:0b" \
        --net tap=vm-c,mac=02:00:00:00:00:0c,num_queues=2 --vsock cid=9,socket=notify.vsock"#;

    #[test]
    fn reads_qemu_and_cloud_hypervisor() {
        assert_eq!(macs(QEMU), ["02:00:00:00:00:0a"]);
        assert_eq!(taps("vm-web\n", QEMU), ["vm-web"]);
        assert_eq!((cid("", QEMU), cid("8\n", QEMU)), (Some(7), Some(8)));
        assert_eq!(macs(CLOUD), ["02:00:00:00:00:0b", "02:00:00:00:00:0c"]);
        assert_eq!((taps("", CLOUD), cid("", CLOUD)), (vec!["vm-b".to_owned(), "vm-c".to_owned()], Some(9)));
    }

    #[test]
    fn kvm_is_needed_preferred_or_not_asked_for() {
        assert_eq!(wants_kvm("qemu", QEMU), WantsKvm::Prefers);
        assert_eq!(wants_kvm("qemu", &format!("{QEMU} -enable-kvm -cpu host")), WantsKvm::Needs);
        assert_eq!(wants_kvm("cloud-hypervisor\n", CLOUD), WantsKvm::Needs);
        assert_eq!(wants_kvm("qemu", "qemu -M microvm,rtc=on -accel tcg -m 96"), WantsKvm::No);
        assert_eq!(wants_kvm("qemu", "qemu -accel kvm -accel tcg"), WantsKvm::Prefers);
        assert_eq!(wants_kvm("qemu", "qemu -M microvm,accel=kvm"), WantsKvm::Needs);
        assert_eq!(wants_kvm("qemu", "echo kvm"), WantsKvm::No);
    }

    proptest! {
        #[test]
        fn never_panics(kind in "(?s:.){0,10}", script in "(?s:.){0,200}") {
            let _ = (macs(&script), taps(&kind, &script), cid(&kind, &script), wants_kvm(&kind, &script));
        }
    }
}
