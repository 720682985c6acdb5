//! The git hook: a real `git push` over ssh and to a path, planned against a hypervisor
//! that is there, or not.

use crate::harness::{HYPERVISOR, Lab};
use crate::running::{Output, Running, until};

fn git(lab: &Lab, args: &[&str]) -> Output {
    lab.laptop(&[&["git"], args].concat())
}

/// The commit of a branch on a remote; nothing when it has none.
fn remote(lab: &Lab, remote: &str, branch: &str) -> String {
    let said = git(lab, &["ls-remote", remote, &format!("refs/heads/{branch}")]).expect(0);
    said.stdout.split_whitespace().next().unwrap_or_default().to_owned()
}

fn head(lab: &Lab) -> String {
    git(lab, &["rev-parse", "HEAD"]).expect(0).stdout.trim().to_owned()
}

#[test]
fn a_push_is_planned_before_it_goes() {
    let lab = Lab::deployed(&["--by-hand"]);
    let first = remote(&lab, "origin", "main");
    let (vm1, vm2, transactions) = (lab.vm("vm1"), lab.vm("vm2"), lab.transactions().len());
    lab.laptop(&["deployvm", "-H", HYPERVISOR, "hook", "install"]).expect(0);

    // Good: the plan is shown, nothing is built or deployed, and the push goes. What is in
    // the working tree does not matter.
    lab.edit_vm("vm2", r#"version = "2";"#);
    let good = head(&lab);
    lab.change_vm("vm1", r#"fault = "eval";"#);
    let pushed = git(&lab, &["push", "origin", "main"]).expect(0);
    pushed.says("deployvm: planning for main").says("1 to restart, 1 unchanged").says("restarts: vm2");
    pushed.says("it is not built here yet");
    assert_eq!(pushed.stdout, "");
    assert_eq!(remote(&lab, "origin", "main"), good);
    git(&lab, &["checkout", "-q", "vms/vm1.nix"]).expect(0);
    // The same commit again costs no evaluation.
    let again = git(&lab, &["push", "origin", "main:copy"]).expect(0);
    again.says("vm1: evaluated, from the cache").says("vm2: evaluated, from the cache");

    // One that does not evaluate does not go, and says why.
    lab.edit_vm("vm2", r#"fault = "eval";"#);
    let failed = git(&lab, &["push", "origin", "main"]).expect(1);
    failed.says("vm2: deliberately broken").says("cannot evaluate vm2").says("git push --no-verify");
    assert_eq!(remote(&lab, "origin", "main"), good);
    // Ways out; tags and deletions.
    git(&lab, &["tag", "broken"]).expect(0);
    git(&lab, &["push", "-q", "origin", "broken", ":copy"]).expect(0);
    assert_eq!(remote(&lab, "origin", "copy"), "");
    git(&lab, &["push", "-q", "--no-verify", "origin", "main:unseen"]).expect(0);
    let mut skip = lab.command(&["git", "push", "origin", "main:skipped"]);
    skip.env("DEPLOYVM_SKIP", "1");
    Running::start(skip, false).wait(60).expect(0).says("left out, as DEPLOYVM_SKIP says");
    assert_eq!(
        (remote(&lab, "origin", "unseen"), remote(&lab, "origin", "skipped")),
        (head(&lab), head(&lab))
    );

    // One that the hypervisor has no room for does not go either.
    lab.edit_vm("vm2", "fault = null; mem = 9999999;");
    git(&lab, &["push", "origin", "main"]).expect(1).says("of memory available, and the VMs need");
    assert_eq!(remote(&lab, "origin", "main"), good);

    // A branch that lacks what somebody deployed does: it is only planned.
    lab.push(&["vm2", "--rev", &good]).expect(0);
    git(&lab, &["checkout", "-q", "-b", "feature", &first]).expect(0);
    git(&lab, &["push", "origin", "feature"]).expect(0).says("does not contain");
    assert_eq!(remote(&lab, "origin", "feature"), first);

    assert_eq!((lab.vm("vm1"), lab.transactions().len()), (vm1, transactions + 1));
    assert_ne!(lab.vm("vm2"), vm2);
}

#[test]
fn what_has_been_pushed_is_deployed_and_nothing_else() {
    let lab = Lab::deployed(&["--by-hand"]);
    lab.laptop(&["deployvm", "-H", HYPERVISOR, "hook", "install", "--deploy", "main"]).expect(0);
    let file = |name: &str| std::fs::read_to_string(lab.flake().join(".git/deployvm").join(name));

    // The push goes, and then the deployment.
    lab.edit_vm("vm2", r#"version = "2";"#);
    let good = head(&lab);
    let pushed = git(&lab, &["push", "origin", "main"]).expect(0);
    pushed.says("main will be deployed once it is on the remote").says("deployvm/deploy.log");
    until("the log says that it is deployed", 180, || match file("deploy.log") {
        Ok(log) if log.contains("is deployed") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    lab.answers("vm2", "vm2 version 2");
    assert_eq!(lab.last_entry("vm2")["revision"], good.as_str());

    // Another branch is only planned for. The remote does not take that one: it is not
    // deployed, while the next one is.
    git(&lab, &["push", "-q", "origin", "main:other"]).expect(0);
    lab.hv("cd /root/infra.git/hooks; printf '#!/bin/sh\\nexit 1\\n' >pre-receive; chmod +x pre-receive")
        .expect(0);
    lab.edit_vm("vm2", r#"version = "3";"#);
    let rejected = head(&lab);
    git(&lab, &["push", "origin", "main"])
        .expect(1)
        .says("main will be deployed")
        .says("pre-receive hook declined");
    lab.hv("rm /root/infra.git/hooks/pre-receive").expect(0);
    lab.edit_vm("vm2", r#"version = "4"; fault = "exit";"#);
    git(&lab, &["push", "origin", "main"]).expect(0).says("main will be deployed");
    until("it ends", 240, || file("ended").map(drop).map_err(|e| e.to_string()));
    lab.answers("vm2", "vm2 version 2");
    let entry = lab.last_entry("vm2");
    assert_eq!((&entry["revision"], &entry["result"]), (&head(&lab).as_str().into(), &"rolled-back".into()));
    let ledger = lab.hv("cat /var/lib/deployvm/ledger.jsonl").stdout;
    assert!(!ledger.contains(&rejected), "{ledger}");
    // It is told once.
    let next = git(&lab, &["push", "origin", "main:another"]).expect(0);
    next.says("was pushed and then not deployed (exit 30)");
    let told = git(&lab, &["push", "origin", "main:third"]).expect(0);
    assert!(!told.stderr.contains("not deployed"), "{told}");
    lab.laptop(&["deployvm", "hook", "uninstall"]).expect(0);
    assert!(!lab.flake().join(".git/deployvm").exists());
}

#[test]
fn a_hypervisor_that_is_not_there() {
    let lab = Lab::up(&[]);
    git(&lab, &["init", "-q", "--bare", "../remote.git"]).expect(0);
    git(&lab, &["remote", "add", "here", "../remote.git"]).expect(0);
    lab.laptop(&["deployvm", "-H", HYPERVISOR, "hook", "install", "vm1"]).expect(0);
    lab.script("link", &["down"]).expect(0);
    let failed = git(&lab, &["push", "here", "main"]).expect(1);
    failed.says("cannot reach").says("DEPLOYVM_SKIP=1 git push");
    assert_eq!(remote(&lab, "here", "main"), "");
    lab.script("link", &["up"]).expect(0);
    let pushed = git(&lab, &["push", "here", "main"]).expect(0);
    pushed.says("1 to install").says("starts: vm1");
    assert_eq!(remote(&lab, "here", "main"), head(&lab));
    assert_eq!(lab.hv("ls -A /var/lib/microvms").stdout, "");
    lab.laptop(&["deployvm", "hook", "uninstall"]).expect(0);
    git(&lab, &["push", "here", "main:again"]).expect(0);
}
