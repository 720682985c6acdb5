//! Why a runner differs, and how its small files do: from derivations and files that are
//! here, on the hypervisor, or nowhere any more.

use serde_json::Value;

use crate::harness::{HYPERVISOR, Lab};
use crate::running::Output;

impl Lab {
    fn diff(&self, more: &[&str]) -> Output {
        let argv = [&["deployvm", "diff", "vm2", "-H", HYPERVISOR, "--why", "--text"], more].concat();
        self.laptop(&argv).expect(0)
    }

    fn told(&self, more: &[&str]) -> Value {
        let said = self.diff(&[more, &["--json"]].concat());
        let value: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}\n{said}"));
        value["vms"][0].clone()
    }

    fn forget(&self) {
        self.laptop(&["nix-collect-garbage", "-d"]).expect(0);
    }
}

/// The names of the causes, in order.
#[track_caller]
fn causes(told: &Value) -> Vec<&str> {
    assert!(told["why"]["reason"].is_null(), "{told:#}");
    told["why"]["causes"].as_array().unwrap().iter().map(|cause| cause["name"].as_str().unwrap()).collect()
}

/// The change of one cause that has this before and after.
#[track_caller]
fn has(told: &Value, cause: &str, before: &str, after: &str) {
    let causes = told["why"]["causes"].as_array().unwrap();
    let changes =
        causes.iter().filter(|each| each["name"] == cause).flat_map(|c| c["changes"].as_array().unwrap());
    let has = |value: &Value, text: &str| value.as_str().is_some_and(|value| value.contains(text));
    let found = changes.into_iter().any(|c| has(&c["before"], before) && has(&c["after"], after));
    assert!(found, "{cause}: {before} → {after} in {told:#}");
}

/// The one file that differs.
#[track_caller]
fn file<'a>(told: &'a Value, package: &str, file: &str) -> &'a Value {
    let all = told["files"]["changed"].as_array().unwrap_or_else(|| panic!("{told:#}"));
    let found = all.iter().find(|each| each["package"] == package && each["file"] == file);
    found.unwrap_or_else(|| panic!("{package}{file} in {told:#}"))
}

#[test]
fn why_it_differs_and_how_its_files_do() {
    let lab = Lab::up(&[]);
    let absent = lab.told(&[]);
    assert!(absent["from"].is_null() && absent["why"]["reason"].is_string(), "{absent:#}");
    lab.edit_vm("vm2", r#"motd = "one\\ntwo\\nthree\\n";"#);
    lab.push(&["vm2"]).expect(0);

    // Of what runs, and of what the flake wants, everything is here.
    lab.edit_vm("vm2", r#"libfoo = "2.2"; mem = 128; motd = "one\\nzwei\\nthree\\n";"#);
    let both = |told: &Value| {
        assert_eq!(causes(told), ["microvm-qemu-vm2", "etc", "libfoo-2.2"], "{told:#}");
        has(told, "microvm-qemu-vm2", "-m 96", "-m 128");
        has(told, "etc", "two", "zwei");
        has(told, "libfoo-2.2", "libfoo-2.1", "libfoo-2.2");
        let changed = file(told, "etc", "/etc/motd");
        assert_eq!(changed["diff"], "@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three", "{told:#}");
        let files = told["files"]["changed"].as_array().unwrap();
        let names: Vec<&str> = files.iter().map(|each| each["package"].as_str().unwrap()).collect();
        // What was only built again names other paths, and nothing else.
        assert!(!names.contains(&"system-units") && told["files"]["rehashed"].as_u64() > Some(1), "{told:#}");
    };
    both(&lab.told(&[]));
    let said = lab.diff(&[]);
    said.says("libfoo-2.1 → libfoo-2.2")
        .says("needed by microvm-qemu-vm2 › nixos-system-vm2-24.11.lab ›")
        .says("~ etc/etc/motd @@ -1,3 +1,3 @@ one -two +zwei three");
    lab.push(&["vm2"]).expect(0);
    let generations = ["--from", "1", "--to", "2"];
    both(&lab.told(&generations));
    let same = lab.told(&[]);
    assert!(causes(&same).is_empty() && same["from"] == same["to"], "{same:#}");

    // Nobody has the derivation of what runs any more: files are compared all the same.
    lab.forget();
    lab.edit_vm("vm2", r#"mem = 112; motd = "one\\nzwei\\ndrei\\n";"#);
    let told = lab.told(&[]);
    assert!(told["why"]["reason"].as_str().unwrap().contains("garbage-collected"), "{told:#}");
    file(&told, "etc", "/etc/motd");
    lab.diff(&generations).says("why: cannot be told:").says("~ libfoo: 2.1 → 2.2").says("+zwei");

    // What was built on the hypervisor has its derivations there.
    lab.push(&["vm2", "--build-on", "hypervisor"]).expect(0);
    lab.forget();
    lab.edit_vm("vm2", "mem = 120;");
    let told = lab.told(&[]);
    assert_eq!(causes(&told), ["microvm-qemu-vm2"], "{told:#}");
    has(&told, "microvm-qemu-vm2", "-m 112", "-m 120");
    lab.tidy();
}
