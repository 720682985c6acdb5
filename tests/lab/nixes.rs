//! Every Nix with every other: the laptop's and the hypervisor's are 2.8, 2.26 and 2.34
//! in all nine ways. Three of them, in which each is on each side once, run with the
//! other tests; `tests/lab/pairs` runs them all and prints a table.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{HYPERVISOR, Lab};
use crate::running::{Output, Running};

/// A push as a person types it.
fn push(lab: &Lab, args: &[&str]) -> Output {
    lab.laptop(&[&["deployvm", "push", "-H", HYPERVISOR, "--yes", "-v"], args].concat())
}

/// All that deployvm does with Nix: push, a push with a diff, rollback, a build there, and
/// what fails.
#[track_caller]
fn pair(laptop: &str, hypervisor: &str) {
    let mut options = vec!["--vms", "1", "--laptop-nix", laptop, "--hypervisor-nix", hypervisor];
    if hypervisor == "2.34" {
        // As a NixOS of these days is.
        options.push("--nixos-paths");
    }
    let lab = Lab::up(&options);
    let here = lab.laptop(&["nix", "--version"]).expect(0).stdout;
    let there = lab.hv("nix --version").expect(0).stdout;
    for (said, version) in [(here, laptop), (there, hypervisor)] {
        assert!(said.starts_with(&format!("nix (Nix) {version}.")), "this is not {version}: {said}");
    }

    let runs = |pushed: &serde_json::Value, version: &str, generation: u64| {
        let runner = pushed["to"].as_str().unwrap().to_owned();
        lab.answers("vm1", &format!("vm1 version {version}"));
        assert_eq!(lab.vm("vm1").runs(&lab, &runner).generation, Some(generation));
        lab.tidy();
        runner
    };
    let pushed = lab.push(&[]).expect(0);
    assert!(!pushed.events("copying").is_empty(), "no progress of the copying is told\n{}", pushed.0);
    let first = runs(&pushed.vm_is("vm1", "deployed", 0), "1", 1);

    lab.edit_vm("vm1", r#"version = "2"; libfoo = "2.2";"#);
    let pushed = lab.push(&[]).expect(0);
    let diff = pushed.events("plan")[0]["moves"][0]["diff"].clone();
    let changed = diff["changed"].as_array().unwrap().iter();
    let libfoo = changed.clone().find(|package| package["name"] == "libfoo").unwrap();
    assert_eq!((&libfoo["before"], &libfoo["after"]), (&vec!["2.1"].into(), &vec!["2.2"].into()), "{diff}");
    runs(&pushed.vm_is("vm1", "deployed", 0), "2", 2);

    lab.laptop(&["deployvm", "rollback", "-H", HYPERVISOR, "--yes", "vm1"]).expect(0);
    lab.answers("vm1", "vm1 version 1");
    assert_eq!(lab.vm("vm1").runs(&lab, &first).generation, Some(1));

    lab.edit_vm("vm1", r#"version = "3";"#);
    let on = ["--build-on", "hypervisor"];
    let pushed = lab.push(&on).expect(0);
    let third = runs(&pushed.vm_is("vm1", "deployed", 0), "3", 3);
    assert!(!lab.has_here(&third) && lab.was_built_there(&third), "{third}");

    let before = lab.vm("vm1");
    lab.edit_vm("vm1", r#"version = "4"; fault = "eval";"#);
    push(&lab, &[]).expect(10).says("cannot evaluate vm1").says("vm1: deliberately broken");
    lab.edit_vm("vm1", r#"fault = "build";"#);
    for (args, place) in [(&[][..], ""), (&on, " on the hypervisor")] {
        let failed = push(&lab, args).expect(10);
        failed.says(&format!("cannot build broken-1.0 for vm1{place}: builder failed with exit code 1"));
        failed.says("checking for a compiler... none");
    }
    lab.write("vms/vm1.nix", "{ index = 1; version = builtins.nope 1; }");
    push(&lab, &[]).expect(10).says("attribute 'nope' missing");
    assert_eq!(lab.vm("vm1"), before);
    lab.tidy();
}

#[test]
#[ignore = "by tests/lab/pairs"]
fn from_2_8_to_2_8() {
    pair("2.8", "2.8");
}

#[test]
#[ignore = "by tests/lab/pairs"]
fn from_2_8_to_2_26() {
    pair("2.8", "2.26");
}

#[test]
fn from_2_8_to_2_34() {
    pair("2.8", "2.34");
}

#[test]
fn from_2_26_to_2_8() {
    pair("2.26", "2.8");
}

#[test]
#[ignore = "by tests/lab/pairs"]
fn from_2_26_to_2_26() {
    pair("2.26", "2.26");
}

#[test]
#[ignore = "by tests/lab/pairs"]
fn from_2_26_to_2_34() {
    pair("2.26", "2.34");
}

#[test]
#[ignore = "by tests/lab/pairs"]
fn from_2_34_to_2_8() {
    pair("2.34", "2.8");
}

#[test]
fn from_2_34_to_2_26() {
    pair("2.34", "2.26");
}

#[test]
#[ignore = "by tests/lab/pairs"]
fn from_2_34_to_2_34() {
    pair("2.34", "2.34");
}

/// A Nix that calls itself something else.
fn pretender(version: &str) -> String {
    format!(
        "#!/bin/sh\n[ \"$*\" != --version ] || {{ echo 'nix (Nix) {version}'; exit; }}\nexec /usr/bin/nix \"$@\"\n"
    )
}

#[test]
fn an_older_nix_is_refused_and_a_newer_one_is_not() {
    let lab = Lab::up(&["--vms", "1"]);
    let bin = lab.dir.join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("nix"), "").unwrap();
    fs::set_permissions(bin.join("nix"), fs::Permissions::from_mode(0o755)).unwrap();
    let push = |here: &str, there: &str| {
        fs::write(bin.join("nix"), pretender(here)).unwrap();
        // The first place in which deployvm's scripts look.
        let place = "/run/current-system/sw/bin";
        let text = pretender(there);
        lab.hv(&format!("mkdir -p {place}; cat >{place}/nix <<'END'\n{text}END\nchmod 755 {place}/nix"))
            .expect(0);
        let mut command = lab.command(&["deployvm", "push", "-H", HYPERVISOR, "--yes"]);
        command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
        Running::start(command, false).wait(120)
    };
    let refused = push("2.3.16", "2.8.0").expect(10);
    refused.says("this machine has Nix 2.3.16, which is too old").says("needs Nix 2.8 or later here");
    let refused = push("2.8.0", "2.7.0").expect(11);
    refused.says("hv has Nix 2.7.0, which is too old").says("needs Nix 2.8 or later there");
    assert_eq!(lab.hv("ls -A /var/lib/microvms").stdout, "");

    push("2.99.1", "3.1.0").expect(0);
    lab.answers("vm1", "vm1 version 1");
    lab.tidy();
}
