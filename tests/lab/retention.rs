//! What the hypervisor's module runs once a day: old generations go, and nothing that
//! anybody could still need.

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::harness::{HYPERVISOR, Lab};
use crate::running::Output;

/// As the module puts it together.
const SCRIPT: [&str; 2] =
    [include_str!("../../src/host/scripts/retention.sh"), include_str!("../../nix/modules/retention.sh")];

fn retention(lab: &Lab, keep: &str) -> Output {
    let script = BASE64_STANDARD.encode(SCRIPT.concat());
    lab.hv(&format!("echo {script} | base64 -d >/run/retention.sh; /bin/sh /run/retention.sh {keep}"))
}

fn numbers(lab: &Lab) -> Vec<u64> {
    lab.vm("vm2").generations.into_keys().collect()
}

#[test]
fn old_generations_are_dropped() {
    let lab = Lab::deployed(&[]);
    // Sixty that have ended, and whose ends are known but for one. The clock went back since.
    // One of them was being forgotten when the machine went down.
    let ended = "cd /var/lib/deployvm/transactions; for n in $(seq 10 69); do
            mkdir 20200101t0000$n-0ld; touch 20200101t0000$n-0ld/outcome 20200101t0000$n-0ld/heard
            touch -d '+1 day' 20200101t0000$n-0ld
        done
        rm 20200101t000010-0ld/heard
        mkdir -p .gone-20200101t000009-0ld/p .gone-20200101t000009-0ld/before
        echo vm2 >.gone-20200101t000009-0ld/p/vm; echo yes >.gone-20200101t000009-0ld/before/recorded";
    lab.hv(ended).expect(0);
    for version in 2..=6 {
        lab.edit_vm("vm2", &format!(r#"version = "{version}";"#));
        lab.push(&["--no-restart", "vm2"]).expect(0);
    }
    lab.tidy();
    let left = lab.transactions();
    assert_eq!(left.len(), 51, "{left:?}");
    assert!(left.contains(&"20200101t000010-0ld".to_owned()), "{left:?}");
    assert_eq!(left.iter().filter(|id| !id.ends_with("-0ld")).count(), 7, "{left:?}");
    assert_eq!(lab.hv("ls -A /var/lib/deployvm/transactions | grep ^[.] || :").expect(0).stdout, "");
    assert_eq!(numbers(&lab), [1, 2, 3, 4, 5, 6]);
    let (vm1, vm2) = (lab.vm("vm1"), lab.vm("vm2"));
    lab.laptop(&["deployvm", "pin", "vm2", "2", "-H", HYPERVISOR]).expect(0);
    let dropped = vm2.generations[&3].clone();

    for wrong in ["", "0", "1", "-1", "x"] {
        retention(&lab, wrong).expect(64);
    }
    // Somebody works on it.
    let held = "flock -o /run/deployvm/vm2.lock sleep 1000 >/dev/null 2>&1 & echo $! >/run/holder";
    lab.hv(&format!("{held}; while flock -n /run/deployvm/vm2.lock true; do sleep 0.1; done")).expect(0);
    assert_eq!(retention(&lab, "2").expect(0).stdout, "");
    let freed = "pkill -P $(cat /run/holder); until flock -n /run/deployvm/vm2.lock true; do sleep 0.1; done";
    lab.hv(freed).expect(0);
    lab.hv(
        "mkdir -p /var/lib/deployvm/transactions/open/p; echo vm2 >/var/lib/deployvm/transactions/open/p/vm",
    )
    .expect(0);
    assert_eq!(retention(&lab, "2").expect(0).stdout, "");
    lab.hv("rm -r /var/lib/deployvm/transactions/open").expect(0);
    assert_eq!(numbers(&lab).len(), 6);

    // 1 runs, 2 is pinned, 6 is staged.
    assert_eq!(retention(&lab, "2").expect(0).stdout, "vm2: dropped 4 3\n");
    assert_eq!(numbers(&lab), [1, 2, 5, 6]);
    assert_eq!(lab.hv("ls /var/lib/deployvm/terms/vm2").stdout, "1.json\n2.json\n5.json\n6.json\n");
    let roots = lab.hv("nix-store --gc --print-roots").stdout;
    assert!(!roots.contains(&dropped), "{roots}");
    assert_eq!(lab.vm("vm1"), vm1);
    assert_eq!(retention(&lab, "2").expect(0).stdout, "");

    // What goes back to one that was kept finds it, and what comes after keeps its number.
    lab.laptop(&["deployvm", "rollback", "vm2", "--to", "2", "-H", HYPERVISOR, "--yes"]).expect(0);
    lab.answers("vm2", "vm2 version 2");
    lab.tidy();
    assert_eq!(retention(&lab, "2").expect(0).stdout, "");
    assert_eq!(numbers(&lab), [1, 2, 5, 6]);
    lab.laptop(&["deployvm", "unpin", "vm2", "2", "-H", HYPERVISOR]).expect(0);
    lab.edit_vm("vm2", r#"version = "7";"#);
    lab.push(&["vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 7");
    lab.tidy();
    assert_eq!(retention(&lab, "2").expect(0).stdout, "vm2: dropped 5 1\n");
    // 6 is newer, but 2 was verified.
    assert_eq!(numbers(&lab), [2, 6, 7]);
    lab.laptop(&["deployvm", "rollback", "vm2", "-H", HYPERVISOR, "--yes"]).expect(0);
    lab.answers("vm2", "vm2 version 2");
    lab.tidy();
}

#[test]
fn prune_drops_what_it_has_shown_and_says_what_that_frees() {
    let lab = Lab::deployed(&[]);
    // Sixty that have ended, and whose ends are known.
    let ended = "cd /var/lib/deployvm/transactions; for n in $(seq 10 69); do
            mkdir 20200101t0000$n-0ld; touch 20200101t0000$n-0ld/outcome 20200101t0000$n-0ld/heard
            touch -d 2020-01-01 20200101t0000$n-0ld
        done";
    lab.hv(ended).expect(0);
    for version in 2..=6 {
        lab.edit_vm("vm2", &format!(r#"version = "{version}";"#));
        lab.push(&["--no-restart", "vm2"]).expect(0);
    }
    lab.tidy();
    let left = lab.transactions();
    assert_eq!(left.len(), 50, "{left:?}");
    assert_eq!(left.iter().filter(|id| !id.ends_with("-0ld")).count(), 7, "{left:?}");
    let prune =
        |more: &[&str]| lab.laptop(&[&["deployvm", "prune", "-H", HYPERVISOR, "--keep", "2"], more].concat());
    lab.laptop(&["deployvm", "pin", "vm2", "2", "-H", HYPERVISOR]).expect(0);
    let shown = prune(&["--dry-run"]).expect(0).stdout;
    assert!(shown.contains("vm1  nothing\nvm2  3-4\n"), "{shown}");
    assert!(shown.contains("Nothing else uses "), "{shown}");
    // Nobody can be asked.
    prune(&[]).expect(2);
    assert_eq!(numbers(&lab), [1, 2, 3, 4, 5, 6]);
    prune(&["vm3"]).expect(2);
    prune(&["--keep", "1"]).expect(2);

    // What it says nothing else uses is what a garbage collection then takes.
    let object = |out: Output| serde_json::from_str::<serde_json::Value>(&out.expect(0).stdout).unwrap();
    let value = object(prune(&["--json", "--dry-run"]));
    assert_eq!(value["vms"][1]["old"], serde_json::json!([3, 4]));
    assert!(value["vms"][1]["dropped"].is_null());
    let held = "flock -o /run/deployvm/vm2.lock sleep 1000 >/dev/null 2>&1 & echo $! >/run/holder";
    lab.hv(&format!("{held}; while flock -n /run/deployvm/vm2.lock true; do sleep 0.1; done")).expect(0);
    let busy = prune(&["--yes"]).expect(0).stdout;
    assert!(busy.contains("vm2  left alone: somebody works on it"), "{busy}");
    let freed = "pkill -P $(cat /run/holder); until flock -n /run/deployvm/vm2.lock true; do sleep 0.1; done";
    lab.hv(freed).expect(0);
    lab.hv("nix-collect-garbage").expect(0);
    let done = object(prune(&["--yes", "--json"]));
    assert_eq!(done["vms"][1]["dropped"], serde_json::json!([3, 4]));
    assert_eq!(numbers(&lab), [1, 2, 5, 6]);
    let dead = lab.hv("nix-store --gc --print-dead 2>/dev/null").expect(0).stdout;
    assert_eq!(dead.lines().count() as u64, done["paths"].as_u64().unwrap(), "{dead}");
    let bytes = lab.hv("nix-store --gc --print-dead 2>/dev/null | xargs nix-store -q --size | awk '{ s += $1 } END { print s }'");
    assert_eq!(bytes.expect(0).stdout.trim(), done["bytes"].to_string());
    assert!(prune(&["--yes"]).expect(0).stdout.contains("vm2  nothing\n"));
    lab.tidy();
}
