//! Going back to earlier generations, and what is told about them.

use serde_json::Value;

use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::Running;

/// Another verb of deployvm on the hypervisor, with its JSON.
fn verb(lab: &Lab, args: &[&str]) -> Pushed {
    Pushed(lab.laptop(&[&["deployvm"], args, &["-H", HYPERVISOR, "--yes", "--json"]].concat()))
}

/// The one object that a command printed.
#[track_caller]
fn object(lab: &Lab, args: &[&str]) -> Value {
    let said = lab.laptop(&[&["deployvm"], args, &["-H", HYPERVISOR, "--json"]].concat()).expect(0);
    serde_json::from_str(said.stdout.trim()).unwrap_or_else(|e| panic!("{e}\n{said}"))
}

/// A lab whose vm2 has three generations, which say so.
fn three() -> Lab {
    let lab = Lab::deployed(&[]);
    for version in ["2", "3"] {
        lab.edit_vm("vm2", &format!(r#"version = "{version}";"#));
        lab.push(&["vm2"]).expect(0);
        lab.answers("vm2", &format!("vm2 version {version}"));
    }
    assert_eq!(lab.vm("vm2").generation, Some(3));
    lab
}

#[test]
fn back_and_forth() {
    let lab = three();
    let (other, last) = (lab.vm("vm1"), lab.vm("vm2"));
    // Nothing is evaluated: a broken flake is no obstacle.
    let flake = std::fs::read_to_string(lab.flake().join("flake.nix")).unwrap();
    lab.write("flake.nix", "{ {");
    for (args, number) in
        [(&["rollback", "vm2"][..], 2), (&["rollback", "vm2"], 1), (&["rollback", "vm2", "--to", "2"], 2)]
    {
        let said = verb(&lab, args).expect(0).vm_is("vm2", "deployed", 0);
        assert_eq!(said["generation"], number);
        lab.answers("vm2", &format!("vm2 version {number}"));
        let now = lab.vm("vm2");
        now.runs(&lab, &last.generations[&number]);
        assert_eq!((now.generation, &now.generations), (Some(number), &last.generations));
        let entry = lab.last_entry("vm2");
        assert_eq!((&entry["verb"], &entry["result"]), (&"rollback".into(), &"deployed".into()));
        lab.tidy();
    }
    let read = lab.hv("nix-env --list-generations -p /var/lib/deployvm/profiles/vm2").expect(0).stdout;
    assert!(read.lines().count() == 3 && read.lines().nth(1).unwrap().contains("(current)"), "{read}");

    // There is nothing before the first, and no fourth.
    verb(&lab, &["rollback", "vm2", "--to", "1"]).expect(0);
    assert_eq!(verb(&lab, &["rollback", "vm2"]).0.code, 12);
    assert_eq!(verb(&lab, &["rollback", "vm2", "--to", "4"]).0.code, 2);
    lab.answers("vm2", "vm2 version 1");

    // The flake's own comes back under its number.
    lab.write("flake.nix", &flake);
    let said = verb(&lab, &["push", "vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    assert_eq!(said["generation"], 3);
    lab.answers("vm2", "vm2 version 3");
    assert_eq!(lab.vm("vm2").generations, last.generations);
    assert_eq!(lab.vm("vm1"), other);
}

#[test]
fn a_rollback_that_fails_is_undone() {
    let lab = three();
    let old = lab.vm("vm2");
    let check = "http = \"http://10.2.0.2/\"\nbody = \"version 3\"\nwithin = 3\n";
    lab.write("deployvm.toml", &format!("[vms.vm2.checks.web]\n{check}"));
    let said = verb(&lab, &["rollback", "vm2"]).expect(31).vm_is("vm2", "rolled-back", 31);
    assert_eq!(said["reason"], "check-failed");
    lab.answers("vm2", "vm2 version 3");
    let now = lab.vm("vm2");
    now.runs(&lab, &old.generations[&3]);
    assert_eq!((now.generation, &now.generations), (old.generation, &old.generations));
    lab.tidy();

    // So is one that is interrupted.
    lab.write("deployvm.toml", "");
    for step in ["flipped", "proven"] {
        let before = lab.transactions();
        let argv = ["deployvm", "rollback", "vm2", "-H", HYPERVISOR, "--yes", "--json"];
        let going = Running::start(lab.command(&argv), false);
        let id = lab.reaches(&before, step);
        going.signal("INT");
        let said = Pushed(going.wait(120)).expect(30).vm_is("vm2", "rolled-back", 30);
        assert_eq!(said["reason"], "interrupted", "{step}");
        assert_eq!(lab.outcome(&id)[0], "rolled-back", "{step}");
        let entry = lab.last_entry("vm2");
        assert_eq!(
            (&entry["id"], &entry["verb"], &entry["reason"]),
            (&id.into(), &"rollback".into(), &"interrupted".into()),
            "{step}"
        );
        lab.answers("vm2", "vm2 version 3");
        let now = lab.vm("vm2");
        now.runs(&lab, &old.generations[&3]);
        assert_eq!((now.generation, &now.generations), (old.generation, &old.generations), "{step}");
        lab.tidy();
    }
}

#[test]
fn going_back_needs_nothing_of_the_laptop_but_ssh() {
    let lab = three();
    // No flake, no repository, no Nix.
    for entry in std::fs::read_dir(lab.flake()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
    }
    let bin = lab.dir.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for program in ["ssh", "sh", "uname", "kill"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{program}"), bin.join(program)).unwrap();
    }
    let path = format!("PATH={}", bin.display());
    let words = ["env", &path, env!("CARGO_BIN_EXE_deployvm"), "rollback", "vm2", "-H", HYPERVISOR];
    let back = Pushed(lab.laptop(&[&words[..], &["--yes", "--json"]].concat()));
    assert_eq!(back.expect(0).vm_is("vm2", "deployed", 0)["generation"], 2);
    lab.answers("vm2", "vm2 version 2");
    lab.tidy();
}

#[test]
fn back_to_what_deployvm_did_not_make() {
    let lab = Lab::up(&[]);
    lab.script("install-vm", &["vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    let by_hand = lab.vm("vm2").booted.unwrap();
    lab.edit_vm("vm2", r#"version = "2";"#);
    lab.push(&["vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 2");
    verb(&lab, &["rollback", "vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 1");
    lab.vm("vm2").runs(&lab, &by_hand);
    lab.tidy();
}

/// Makes of a runner on the hypervisor something that is no program.
fn spoil(lab: &Lab, runner: &str) {
    let bin = format!("{runner}/bin");
    lab.hv(&format!(
        "chmod -R u+w {bin}; for f in {bin}/*; do cp $f /root/${{f##*/}}; echo garbage >$f; done"
    ))
    .expect(0);
}

#[test]
fn back_from_garbage() {
    let lab = three();
    let old = lab.vm("vm2");
    spoil(&lab, &old.generations[&3]);
    lab.hv("systemctl kill -s KILL microvm@vm2").expect(0);
    crate::running::until("vm2 is down", 60, || match lab.http("vm2") {
        Ok(said) => Err(said),
        Err(_) => Ok(()),
    });
    let said = verb(&lab, &["rollback", "vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    assert_eq!(said["generation"], 2);
    lab.answers("vm2", "vm2 version 2");
    lab.vm("vm2").runs(&lab, &old.generations[&2]);
    lab.tidy();
}

#[test]
fn a_rollback_that_cannot_even_be_undone_says_what_to_do() {
    let lab = three();
    let old = lab.vm("vm2");
    // Neither where it goes nor where it comes from can be started.
    spoil(&lab, &old.generations[&2]);
    spoil(&lab, &old.generations[&3]);
    let said = verb(&lab, &["rollback", "vm2"]).expect(40).vm_is("vm2", "failed", 40);
    let todo: Vec<&str> =
        said["todo"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
    assert!(said["detail"].as_str().unwrap().contains("nothing runs"), "{said}");
    let steps = [
        "ssh root@10.99.0.2 journalctl -n 50 -u microvm@vm2",
        "put the cause right",
        "deployvm start vm2",
        "deployvm rollback vm2 --to 1, then deployvm start vm2",
    ];
    assert_eq!(todo.len(), steps.len(), "{said}");
    for (step, wanted) in todo.iter().zip(steps) {
        assert!(step.contains(wanted), "{wanted}: {said}");
    }
    // The best that can be reached: what ran before is staged, and comes up as soon as it can.
    let now = lab.vm("vm2");
    assert_eq!(now.current.as_ref(), old.generations.get(&3), "{now:#?}");
    assert_eq!((now.generation, &now.generations), (old.generation, &old.generations));
    let entry = lab.last_entry("vm2");
    assert_eq!((&entry["verb"], &entry["result"]), (&"rollback".into(), &"failed".into()), "{entry}");
    lab.tidy();

    // The last of these steps helps.
    let back = verb(&lab, &["rollback", "vm2", "--to", "1"]).expect(0);
    assert!(back.events("warning").is_empty(), "how it ended was told\n{}", back.0);
    verb(&lab, &["start", "vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    lab.vm("vm2").runs(&lab, &old.generations[&1]);
}

#[test]
fn what_failed_is_nothing_to_go_back_to() {
    let lab = Lab::deployed(&[]);
    lab.edit_vm("vm2", r#"version = "2"; fault = "mute";"#);
    let kept = lab.push_with(&["vm2", "--keep-failed"], &[("DEPLOYVM_DEFAULTS__BOOT", "8")]);
    kept.expect(32).vm_is("vm2", "failed", 32);
    assert_eq!(lab.vm("vm2").generation, Some(2));
    let remarked = || object(&lab, &["status", "vm2"]).to_string().contains("generation 2 is unverified");
    assert!(remarked());
    lab.edit_vm("vm2", r#"version = "3"; fault = null;"#);
    lab.push(&["vm2"]).expect(0);
    assert!(!remarked());
    assert_eq!(lab.vm("vm2").generation, Some(3));
    let listed = object(&lab, &["generations", "vm2"]);
    let verified: Vec<&Value> =
        listed["generations"].as_array().unwrap().iter().map(|g| &g["verified"]).collect();
    assert_eq!(verified, [&Value::from(true), &false.into(), &true.into()], "{listed}");
    let said = verb(&lab, &["rollback", "vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    assert_eq!(said["generation"], 1, "not to the one that failed");
    lab.answers("vm2", "vm2 version 1");

    // Another one is left failing: what ran before it is 1, and not the 3 that is below it.
    lab.edit_vm("vm2", r#"version = "4"; fault = "mute";"#);
    let argv = [
        "env",
        "DEPLOYVM_DEFAULTS__BOOT=8",
        env!("CARGO_BIN_EXE_deployvm"),
        "push",
        "vm2",
        "--keep-failed",
        "-H",
        HYPERVISOR,
        "-y",
    ];
    let said = lab.laptop(&argv).expect(32);
    said.says("deployvm rollback vm2 --to 1");
    let said = lab.laptop(&["deployvm", "rollback", "vm2", "--to", "1", "-H", HYPERVISOR, "-y"]).expect(0);
    said.says("vm2  deployed");
    let said = lab.laptop(&["deployvm", "rollback", "vm2", "-H", HYPERVISOR, "-y"]).expect(12);
    said.says("deployvm rollback vm2 --to 3");
}

#[test]
fn status_in_every_state() {
    let lab = Lab::up(&[]);
    let absent = lab.laptop(&["deployvm", "check", "vm1", "-H", HYPERVISOR]).expect(32);
    absent
        .says("vm1 failed: not-installed")
        .says("it is not on the hypervisor yet")
        .says("next: deployvm push vm1");
    let states = || {
        let status = object(&lab, &["status"]);
        let vms = status["vms"].as_array().unwrap().clone();
        let state = |name: &str| {
            let vm = vms.iter().find(|vm| vm["name"] == name);
            vm.map_or(String::new(), |vm| vm["state"].as_str().unwrap().to_owned())
        };
        (state("vm1"), state("vm2"), status.to_string())
    };
    let is = |one: &str, two: &str| {
        let (first, second, all) = states();
        assert_eq!((first.as_str(), second.as_str()), (one, two), "{all}");
    };
    is("absent", "absent");
    lab.push(&[]).expect(0);
    is("current", "current");
    let status = object(&lab, &["status", "vm2"]);
    let (said, there) = (&status["vms"][0], lab.vm("vm2"));
    for runner in ["desired", "staged", "booted", "running"] {
        assert_eq!(said["runner"][runner].as_str(), there.booted.as_deref(), "{runner}: {said}");
    }
    assert_eq!((&said["unit"]["main_pid"], &said["generation"]), (&there.pid.into(), &1.into()), "{said}");
    let revision = lab.laptop(&["git", "rev-parse", "HEAD"]).stdout.trim().to_owned();
    assert_eq!((&said["revision"], &said["mode"]), (&revision.into(), &"imperative".into()), "{said}");

    lab.edit_vm("vm2", r#"version = "2";"#);
    is("current", "outdated");
    assert_eq!(lab.laptop(&["deployvm", "plan", "-H", HYPERVISOR, "--exit-code"]).code, 3);
    lab.push(&["--no-restart"]).expect(0);
    is("current", "stale");
    lab.hv("systemctl stop microvm@vm1").expect(0);
    is("stopped", "stale");
    lab.push(&[]).expect(0);
    is("stopped", "current");
    lab.laptop(&["git", "rm", "-qf", "vms/vm1.nix"]).expect(0);
    lab.commit();
    is("orphan", "current");
    // What runs now cannot start again: its runner's directory is no longer a VM's.
    lab.hv("rm /opt/lab/bin/qemu-system-x86_64; systemctl kill -s KILL microvm@vm2").expect(0);
    crate::running::until("vm2 fails", 30, || match states() {
        (_, state, _) if state == "failed" => Ok(()),
        (_, _, all) => Err(all),
    });
    assert_eq!(lab.laptop(&["deployvm", "status", "-H", HYPERVISOR, "--no-eval"]).code, 0);
}
