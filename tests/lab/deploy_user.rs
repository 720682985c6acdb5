//! A login that is not root: with the rule it does all that root does, without it nothing
//! is touched, and what Nix would not take is not sent.

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::harness::{Lab, Pushed};
use crate::running::{Output, Running, until};

const DEPLOY: &str = "deploy@10.99.0.2";
const RULES: &str = "/etc/sudoers.d/deployvm";

/// deployvm as that user.
fn deployvm(lab: &Lab, args: &[&str]) -> Output {
    lab.laptop(&[&["deployvm"], args, &["-H", DEPLOY, "--yes"]].concat())
}

fn push(lab: &Lab, args: &[&str]) -> Pushed {
    let argv = [&["deployvm", "push", "-H", DEPLOY, "--yes", "--json"], args].concat();
    Pushed(Running::start(lab.command(&argv), false).wait(300))
}

/// Puts lines into a file of the hypervisor that only root may read.
fn write(lab: &Lab, file: &str, text: &str) {
    lab.hv(&format!("umask 337; printf '%s\n' '{text}' >{file}")).expect(0);
}

/// Adds a line to the hypervisor's nix.conf, and lets it be read.
fn nix_conf(lab: &Lab, line: &str) {
    lab.hv(&format!("echo '{line}' >>/etc/nix/nix.conf; systemctl restart nix-daemon.service")).expect(0);
}

/// The last line of the help that names what is to be added.
fn rule(error: &serde_json::Value) -> String {
    let help = error["help"].as_str().unwrap();
    let line = help
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("deploy ALL=") || line.starts_with("permit "));
    line.unwrap_or_else(|| panic!("there is no rule in {help}")).to_owned()
}

/// Everything that a deployment could touch. What Nix 2.8 makes for each user who asks its
/// daemon anything is not of ours.
fn touched(lab: &Lab) -> String {
    let places = "/nix/store /nix/var/nix/gcroots /var/lib/microvms /var/lib/deployvm /run/deployvm";
    lab.hv(&format!("find {places} 2>/dev/null | grep -v /per-user/ || :")).stdout
}

#[test]
fn the_rule_that_is_missing_is_told_and_then_works() {
    let lab = Lab::up(&["--deploy-user"]);
    nix_conf(&lab, "trusted-users = root deploy");
    let before = touched(&lab);
    let refused = push(&lab, &[]).expect(11);
    assert_eq!(touched(&lab), before);
    let error = &refused.events("error")[0];
    assert!(error["message"].as_str().unwrap().contains("deploy may not run"), "{error}");
    let rule = rule(error);
    assert_eq!(rule, "deploy ALL=(root) NOPASSWD: /usr/bin/xargs -0 -x -n 4000 sh -c");
    assert!(error.to_string().contains("a password is required"), "{error}");
    for verb in [&["status"][..], &["history"], &["rollback", "vm2"], &["plan"]] {
        deployvm(&lab, verb).expect(11).says(&rule);
    }
    assert_eq!(touched(&lab), before);

    write(&lab, RULES, &rule);
    lab.hv("visudo -c").expect(0);
    push(&lab, &[]).expect(0);
    for vm in ["vm1", "vm2"] {
        lab.answers(vm, &format!("{vm} version 1"));
    }
    let first = lab.vm("vm2").current.unwrap();
    lab.edit_vm("vm2", r#"version = "2";"#);
    push(&lab, &["vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");

    // What fails is undone.
    lab.edit_vm("vm2", r#"version = "3"; fault = "exit";"#);
    push(&lab, &["vm2"]).expect(30).vm_is("vm2", "rolled-back", 30);
    lab.answers("vm2", "vm2 version 2");

    deployvm(&lab, &["rollback", "vm2"]).expect(0);
    lab.vm("vm2").runs(&lab, &first);
    lab.answers("vm2", "vm2 version 1");
    deployvm(&lab, &["status"]).expect(0).says("outdated");
    deployvm(&lab, &["check", "vm2"]).expect(0);
    deployvm(&lab, &["restart", "vm2"]).expect(0);
    deployvm(&lab, &["history", "vm2"]).expect(0).says("rolled-back");
    deployvm(&lab, &["logs", "vm2", "--grep", "vm2: ready"]).expect(0).says("vm2: ready");
    lab.laptop(&["deployvm", "ssh", "-H", DEPLOY, "vm1", "--", "exit 7"]).expect(7);

    // The ledger is root's, and nobody else's.
    let owners = lab
        .hv("stat -c '%U:%G %a' /var/lib/deployvm /var/lib/deployvm/ledger.jsonl \
                         /var/lib/deployvm/transactions /run/deployvm")
        .stdout;
    assert_eq!(owners, "root:root 755\nroot:root 644\nroot:root 700\nroot:root 700\n");
    lab.tidy();
}

#[test]
fn doas_and_the_entry_command() {
    let lab = Lab::up(&["--deploy-user"]);
    nix_conf(&lab, "trusted-users = root deploy");
    let settings = |elevate: &str| {
        let text = format!("[hypervisors.main]\naddress = \"{DEPLOY}\"\nelevate = \"{elevate}\"\n");
        lab.write("deployvm.toml", &text);
    };
    let status = || lab.laptop(&["deployvm", "status", "--no-eval"]);

    settings("none");
    status().expect(11).says("elevate is \"none\"");
    settings("run0");
    status().expect(11).says("run0 is not there").says("polkit.addRule");
    settings("doas");
    let said = status().expect(11);
    let plain = "permit nopass deploy as root cmd xargs args -0 -x -n 4000 sh -c";
    said.says(plain);
    write(&lab, "/etc/doas.conf", plain);
    status().expect(0);

    // The entry command of the NixOS module, and a rule for nothing else.
    lab.hv("rm /etc/doas.conf").expect(0);
    let entry = BASE64_STANDARD.encode(include_str!("../../nix/modules/entry.sh"));
    lab.hv(&format!(
        "umask 022; mkdir -p /run/current-system/sw/bin; cd /run/current-system/sw/bin
        echo {entry} | base64 -d >deployvm-entry; chmod 755 deployvm-entry"
    ))
    .expect(0);
    let said = status().expect(11);
    let rule = "permit nopass deploy as root cmd /run/current-system/sw/bin/deployvm-entry args";
    said.says(rule);
    write(&lab, "/etc/doas.conf", rule);
    status().expect(0);
    settings("sudo");
    let rule = "deploy ALL=(root) NOPASSWD: /run/current-system/sw/bin/deployvm-entry \"\"";
    status().expect(11).says(rule);
    write(&lab, RULES, rule);
    lab.hv("visudo -c").expect(0);
    lab.laptop(&["deployvm", "push", "--yes", "vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    lab.laptop(&["ssh", DEPLOY, "sudo -n /run/current-system/sw/bin/deployvm-entry id"]).expect(1);
    lab.laptop(&["ssh", DEPLOY, "sudo -n xargs -0 -x -n 4000 sh -c </dev/null"]).expect(1);
}

#[test]
fn run0_where_systemd_has_it() {
    let lab = Lab::up(&["--deploy-user", "--vms", "1", "--hypervisor-nix", "2.34"]);
    nix_conf(&lab, "trusted-users = root deploy");
    lab.write("deployvm.toml", &format!("[hypervisors.main]\naddress = \"{DEPLOY}\"\nelevate = \"run0\"\n"));
    let push = || lab.laptop(&["deployvm", "push", "--yes"]);
    let said = push().expect(11);
    said.says("by run0").says("requires interactive authentication");
    let said = said.said();
    let rule = said.lines().map(str::trim).find(|line| line.starts_with("polkit.addRule(")).unwrap();
    assert!(rule.ends_with("});"), "{rule}");
    lab.hv(&format!(
        "cd /etc/polkit-1/rules.d; echo '{rule}' >50-deployvm.rules; systemctl try-restart polkit.service"
    ))
    .expect(0);
    push().expect(0);
    lab.answers("vm1", "vm1 version 1");
    lab.tidy();
}

#[test]
fn closures_are_signed_or_from_a_trusted_user() {
    signed_or_trusted("2.8", "2.8");
}

#[test]
fn closures_are_signed_or_from_a_trusted_user_of_a_newer_nix() {
    signed_or_trusted("2.26", "2.34");
}

fn signed_or_trusted(laptop: &str, hypervisor: &str) {
    let lab = Lab::up(&["--deploy-user", "--laptop-nix", laptop, "--hypervisor-nix", hypervisor]);
    write(&lab, RULES, "deploy ALL=(root) NOPASSWD: /usr/bin/xargs -0 -x -n 4000 sh -c");
    let before = touched(&lab);

    // Neither: nothing is sent.
    let refused = push(&lab, &["vm2"]).expect(12);
    let error = &refused.events("error")[0];
    let help = error["help"].as_str().unwrap();
    for part in
        ["--sign-key FILE", "add deploy to trusted-users in /etc/nix/nix.conf", "--build-on hypervisor"]
    {
        assert!(help.contains(part), "{error}");
    }
    assert!(error["message"].as_str().unwrap().contains("takes only signed closures from deploy"), "{error}");
    assert!(refused.events("phase").iter().all(|phase| phase["name"] != "copy"), "{}", refused.0);
    deployvm(&lab, &["plan", "vm2"]).expect(12).says("takes only signed closures");
    assert_eq!(touched(&lab), before);

    // Signed by somebody whom it does not know: the key is told, and nothing is sent.
    let key = lab.dir.join("home/key").display().to_string();
    let secret = lab.laptop(&[
        "nix",
        "--extra-experimental-features",
        "nix-command",
        "key",
        "generate-secret",
        "--key-name",
        "lab-1",
    ]);
    let secret = secret.expect(0).stdout;
    std::fs::write(&key, "not a key").unwrap();
    push(&lab, &["--sign-key", &key, "vm2"]).expect(2);
    std::fs::write(&key, &secret).unwrap();
    let refused = push(&lab, &["--sign-key", &key, "vm2"]).expect(12);
    let error = &refused.events("error")[0];
    let public = error["help"].as_str().unwrap().lines().last().unwrap().trim().to_owned();
    assert!(public.starts_with("lab-1:"), "{error}");
    assert_eq!(touched(&lab), before);

    // The key that was told, where it was told to put it.
    nix_conf(&lab, &format!("trusted-public-keys = {public}"));
    let pushed = push(&lab, &["--sign-key", &key, "vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    let signed = lab
        .hv("nix --extra-experimental-features nix-command path-info --sigs \
                         $(readlink /var/lib/microvms/vm2/current)")
        .stdout;
    assert!(signed.contains("lab-1:"), "{signed}");
    // What is there and signed needs no key again.
    push(&lab, &["vm2"]).expect(0).vm_is("vm2", "unchanged", 0);

    // The key is nowhere.
    let secret = secret.trim().split_once(':').unwrap().1;
    let everywhere =
        format!("grep -rlF '{secret}' /var/lib/deployvm /var/lib/microvms /run/deployvm /var/log || :");
    assert_eq!(lab.hv(&everywhere).stdout, "");
    assert!(!pushed.0.to_string().contains(secret));

    // What the hypervisor builds itself, it takes from itself.
    lab.edit_vm("vm2", r#"version = "2";"#);
    push(&lab, &["vm2"]).expect(12);
    push(&lab, &["--build-on", "hypervisor", "vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");

    // A user that it trusts: unsigned. Before the daemon knows it says no, and if it is an
    // old one, only when it is too late.
    lab.edit_vm("vm2", r#"version = "3";"#);
    lab.hv("echo 'trusted-users = root deploy' >>/etc/nix/nix.conf").expect(0);
    let refused = push(&lab, &["vm2"]).expect(if hypervisor == "2.8" { 20 } else { 12 });
    let error = &refused.events("error")[0];
    assert!(error["help"].to_string().contains("systemctl restart nix-daemon"), "{error}");
    lab.hv("systemctl restart nix-daemon.service").expect(0);
    push(&lab, &["vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 3");
    lab.tidy_but("-pending-");
}

#[test]
fn what_the_laptop_leaves_behind() {
    let lab = Lab::up(&["--deploy-user"]);
    nix_conf(&lab, "trusted-users = root deploy");
    write(&lab, RULES, "deploy ALL=(root) NOPASSWD: /usr/bin/xargs -0 -x -n 4000 sh -c");
    push(&lab, &[]).expect(0);
    let start = |args: &[&str]| {
        let argv = [&["deployvm", "push", "-H", DEPLOY, "--yes", "--json"], args].concat();
        let mut command = lab.command(&argv);
        command.env("DEPLOYVM_DEFAULTS__VERDICT", "60");
        Running::start(command, false)
    };

    // A line that drops: the new connection is root's in the same way.
    let before = lab.transactions();
    lab.edit_vm("vm2", r#"version = "2";"#);
    let pushing = start(&["vm2"]);
    lab.reaches(&before, "started");
    lab.script("link", &["down"]).expect(0);
    lab.reaches(&before, "booted");
    lab.script("link", &["up"]).expect(0);
    Pushed(pushing.wait(200)).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");

    // Ctrl-C: undone, as for root.
    let before = lab.transactions();
    lab.edit_vm("vm2", r#"version = "3";"#);
    let pushing = start(&["vm2"]);
    lab.reaches(&before, "started");
    pushing.signal("INT");
    Pushed(pushing.wait(200)).expect(30).vm_is("vm2", "rolled-back", 30);
    lab.answers("vm2", "vm2 version 2");

    // A build that nobody waits for any more: sudo stands between it and ssh.
    lab.slow_app("echo slow begins; sleep 1000; echo slow ends");
    lab.edit_vm("vm2", r#"version = "slow";"#);
    let building = start(&["--build-on", "hypervisor", "vm2"]);
    until("the slow part", 60, || {
        let said = building.stdout();
        if said.contains("slow begins") { Ok(()) } else { Err(said) }
    });
    building.signal("KILL");
    building.wait(30);
    until("the build is stopped", 60, || {
        let left = lab.hv("systemctl list-units --all --no-legend 'deployvm-build-*'
            ls -A /nix/var/nix/gcroots/deployvm; ls /run/deployvm | grep ^build- || :
            ps axo args | grep -e '[n]ix-store --realise' -e '[s]udo -n' || :");
        if left.stdout.is_empty() { Ok(()) } else { Err(left.stdout) }
    });
    lab.tidy();
}
