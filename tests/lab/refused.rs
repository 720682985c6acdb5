//! What cannot work: it is refused with what to do, and nothing is touched.

use crate::harness::{HYPERVISOR, Lab};
use crate::running::Output;

/// A push as a person types it.
fn push(lab: &Lab, args: &[&str]) -> Output {
    lab.laptop(&[&["deployvm", "push", "-H", HYPERVISOR, "--yes"], args].concat())
}

#[test]
fn a_flake_that_is_wrong() {
    let lab = Lab::up(&["--vms", "4"]);
    let untouched = || {
        assert_eq!(lab.hv("ls -A /var/lib/microvms; ls -A /var/lib/deployvm 2>/dev/null || :").stdout, "");
        assert_eq!(lab.hv("ls /nix/store | wc -l").stdout.trim(), "0");
    };

    // Not there.
    let mut elsewhere = lab.command(&["deployvm", "push", "-H", HYPERVISOR, "-y"]);
    elsewhere.current_dir("/");
    let said = crate::running::Running::start(elsewhere, false).wait(30).expect(2);
    said.says("no flake here").says("--flake");
    push(&lab, &["--flake", "/nowhere"]).expect(2).says("/nowhere");
    // No hypervisor.
    lab.laptop(&["deployvm", "push", "-y"]).expect(2).says("no hypervisor named").says("-H root@HOST");
    // No such VM: nearest first.
    let said = push(&lab, &["vm33"]).expect(2);
    said.says("the flake has no microVM 'vm33'").says("its configurations are vm3,");
    // It does not parse.
    let file = std::fs::read_to_string(lab.flake().join("flake.nix")).unwrap();
    lab.write("flake.nix", &file.replacen('{', "{ {", 1));
    push(&lab, &[]).expect(10).says("syntax error").says("flake.nix:");
    lab.write("flake.nix", &file);
    untouched();

    // One of four throws.
    lab.edit_vm("vm3", r#"fault = "eval";"#);
    let said = push(&lab, &[]).expect(10);
    said.says("vm3: deliberately broken").says("cannot evaluate vm3").says("deployvm push vm1 vm2 vm4");
    for vm in ["vm1", "vm2", "vm4"] {
        said.says(&format!("{vm} install"));
    }
    let planned = lab.push(&[]);
    assert_eq!(planned.0.code, 10, "{}", planned.0);
    let plan = &planned.events("plan")[0];
    assert_eq!(plan["moves"].as_array().unwrap().len(), 3, "{plan}");
    assert_eq!(plan["broken"][0]["vm"], "vm3", "{plan}");
    assert!(plan["broken"][0]["error"].to_string().contains("deliberately broken"), "{plan}");
    let error = &planned.events("error")[0];
    assert_eq!((&error["exit"], error["help"].as_str().unwrap().contains("vm1 vm2 vm4")), (&10.into(), true));
    // Alone, it is told as well.
    let alone = lab.push(&["vm3"]);
    assert_eq!(
        (alone.0.code, alone.events("plan").len(), alone.events("error").len()),
        (10, 1, 1),
        "{}",
        alone.0
    );
    assert_eq!(alone.events("plan")[0]["broken"][0]["vm"], "vm3", "{}", alone.0);

    // One does not build: the last lines of its log.
    lab.edit_vm("vm3", r#"fault = "build";"#);
    let said = push(&lab, &[]).expect(10);
    said.says("cannot build broken-1.0 for vm3").says("checking for a compiler... none");
    said.says("vm3: this derivation fails on purpose").says("nix log");
    untouched();

    // Naming the three pushes them.
    lab.push(&["vm1", "vm2", "vm4"]).expect(0);
    for vm in ["vm1", "vm2", "vm4"] {
        lab.answers(vm, &format!("{vm} version 1"));
    }
    assert_eq!(lab.hv("ls -A /var/lib/microvms").stdout, "vm1\nvm2\nvm4\n");
}

#[test]
fn a_tree_that_is_not_committed() {
    let lab = Lab::deployed(&[]);
    let revision = lab.laptop(&["git", "rev-parse", "HEAD"]).stdout.trim().to_owned();
    let before = lab.vm("vm2");

    // A file that git does not know.
    let file = lab.flake().join("vms/vm2.nix");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(lab.flake().join("vms/extra"), "2").unwrap();
    std::fs::write(&file, text.replace(r#""1""#, "(builtins.readFile ./extra)")).unwrap();
    let said = push(&lab, &["vm2"]).expect(10);
    said.says("vms/extra").says("git -C").says("add vms/extra");
    assert_eq!(lab.vm("vm2"), before);

    // Added but not committed: it goes, is shown, and is written down.
    lab.laptop(&["git", "add", "vms/extra"]).expect(0);
    let said = push(&lab, &["vm2"]).expect(0);
    said.says("not committed");
    lab.answers("vm2", "vm2 version 2");
    let entry = lab.last_entry("vm2");
    assert_eq!((&entry["dirty"], &entry["revision"]), (&true.into(), &revision.into()), "{entry}");
}

#[test]
fn a_hypervisor_that_cannot_be_used() {
    let lab = Lab::deployed(&[]);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let (before, transactions) = (lab.vm("vm2"), lab.transactions().len());
    let ssh = |name: &str| lab.dir.join("home/.ssh").join(name);
    let read = |name: &str| std::fs::read(ssh(name)).unwrap();

    // Nobody there; a line that is dead.
    let unused = lab.laptop(&["deployvm", "push", "-H", "root@10.99.0.77", "--yes"]).expect(11);
    unused.says("cannot reach").says("10.99.0.77").says("nothing was changed on the hypervisor");
    lab.script("link", &["down"]).expect(0);
    push(&lab, &[]).expect(11).says("cannot reach");
    lab.script("link", &["up"]).expect(0);

    // A host key that is unknown, or another.
    let known = read("known_hosts");
    std::fs::write(ssh("known_hosts"), "").unwrap();
    push(&lab, &[]).expect(11).says("host key of 10.99.0.2 is not known");
    assert_eq!(read("known_hosts"), b"", "no key is added without asking");
    lab.laptop(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "other"]).expect(0);
    let other = std::fs::read_to_string(lab.flake().join("other.pub")).unwrap();
    std::fs::write(ssh("known_hosts"), format!("10.99.0.2 {other}")).unwrap();
    push(&lab, &[]).expect(11).says("is not the one in known_hosts").says("ssh-keygen -R 10.99.0.2");
    std::fs::write(ssh("known_hosts"), known).unwrap();

    // A key that is not accepted.
    let (private, public) = (read("id_ed25519"), read("id_ed25519.pub"));
    std::fs::copy(lab.flake().join("other"), ssh("id_ed25519")).unwrap();
    std::fs::copy(lab.flake().join("other.pub"), ssh("id_ed25519.pub")).unwrap();
    push(&lab, &[]).expect(11).says("does not accept your key").says("BatchMode=yes");
    std::fs::write(ssh("id_ed25519"), private).unwrap();
    std::fs::write(ssh("id_ed25519.pub"), public).unwrap();

    // No Nix there, and none here.
    lab.hv("mv /usr/bin/nix /usr/bin/nix.away").expect(0);
    push(&lab, &[]).expect(11).says("nix");
    lab.hv("mv /usr/bin/nix.away /usr/bin/nix").expect(0);
    let bin = lab.dir.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for program in ["ssh", "git", "sh"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{program}"), bin.join(program)).unwrap();
    }
    let path = format!("PATH={}", bin.display());
    let said = lab
        .laptop(&["env", &path, env!("CARGO_BIN_EXE_deployvm"), "push", "-H", HYPERVISOR, "--yes"])
        .expect(10);
    said.says("cannot start nix").says("install Nix");

    assert_eq!(lab.vm("vm2"), before);
    assert_eq!(lab.transactions().len(), transactions);
    lab.answers("vm2", "vm2 version 1");
    lab.tidy();
    // All was put right again.
    push(&lab, &[]).expect(0);
    lab.answers("vm2", "vm2 version 2");
}

#[test]
fn a_hypervisor_without_room() {
    let lab = Lab::up(&[]);
    // Nothing is in the store yet that this would hide.
    lab.hv("mount -t tmpfs -o size=16M tmpfs /nix/store").expect(0);
    push(&lab, &["vm2"]).expect(12).says("16 MiB free").says("make room");

    // Room enough, it seems, but it runs out in the middle of copying.
    lab.hv("mount -o remount,size=1G,nr_inodes=200 /nix/store").expect(0);
    push(&lab, &["vm2"]).expect(20).says("No space left on device");
    lab.hv("mount -o remount,nr_inodes=100000 /nix/store").expect(0);
    assert_eq!(lab.hv("ls -A /var/lib/microvms").stdout, "");
    lab.tidy_but("-pending-");

    // No room for the transaction's own files.
    lab.hv("mkdir -p /var/lib/deployvm; mount -t tmpfs -o size=4k tmpfs /var/lib/deployvm").expect(0);
    push(&lab, &["vm2"]).expect(12).says("/var/lib/deployvm");
    lab.hv("umount /var/lib/deployvm").expect(0);
    assert_eq!(lab.hv("ls -A /var/lib/microvms").stdout, "");

    lab.push(&["vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    lab.tidy_but("-pending-");
}
