//! A first push, another one, a change, and saying no.

use crate::harness::{HYPERVISOR, Lab};
use crate::running::{Running, until};

#[test]
fn a_first_push_and_one_without_changes() {
    let lab = Lab::up(&[]);
    let pushed = lab.push(&[]).expect(0);
    for vm in ["vm1", "vm2"] {
        let said = pushed.vm_is(vm, "deployed", 0);
        lab.answers(vm, &format!("{vm} version 1"));
        let there = lab.vm(vm);
        there.runs(&lab, said["to"].as_str().unwrap());
        assert_eq!((there.generation, there.generations.len()), (Some(1), 1));
        assert!(there.files.contains(&"flake".to_owned()), "{there:#?}");
        let owners = lab.hv(&format!(
            "stat -c '%U:%G %a' /var/lib/microvms/{vm}; cd /var/lib/microvms/{vm}; stat -c %U:%G current booted flake;
             readlink /nix/var/nix/gcroots/microvm/{vm} /nix/var/nix/gcroots/microvm/booted-{vm}"
        ));
        assert_eq!(
            owners.expect(0).stdout,
            format!(
                "microvm:kvm 775\nmicrovm:kvm\nmicrovm:kvm\nmicrovm:kvm\n\
                 /var/lib/microvms/{vm}/current\n/var/lib/microvms/{vm}/booted\n"
            )
        );
        let entry = lab.last_entry(vm);
        assert_eq!((&entry["result"], &entry["generation"]), (&"deployed".into(), &1.into()));
        assert_eq!((&entry["from"], &entry["dirty"]), (&().into(), &false.into()), "{entry}");
    }
    lab.tidy();

    let (before, ledger) = ([lab.vm("vm1"), lab.vm("vm2")], lab.ledger());
    let again = lab.push(&[]).expect(0);
    again.vm_is("vm1", "unchanged", 0);
    again.vm_is("vm2", "unchanged", 0);
    assert_eq!([lab.vm("vm1"), lab.vm("vm2")], before, "processes, links and generations");
    assert_eq!(lab.ledger(), ledger);
}

#[test]
fn one_of_two_changes() {
    let lab = Lab::deployed(&[]);
    let (other, old) = (lab.vm("vm1"), lab.vm("vm2"));
    lab.edit_vm("vm2", r#"version = "2";"#);
    let pushed = lab.push(&[]).expect(0);
    pushed.vm_is("vm1", "unchanged", 0);
    let said = pushed.vm_is("vm2", "deployed", 0);
    assert_eq!(said["shutdown"], "clean");
    assert_eq!(said["from"], old.booted.clone().unwrap());
    assert_eq!(lab.vm("vm1"), other);
    lab.answers("vm2", "vm2 version 2");
    let new = lab.vm("vm2");
    new.runs(&lab, said["to"].as_str().unwrap());
    assert_eq!((new.generation, new.generations.len()), (Some(2), 2));
    assert_ne!(new.pid, old.pid);
    lab.tidy();
}

#[test]
fn the_diff_names_what_changed() {
    let lab = Lab::deployed(&[]);
    lab.edit_vm("vm2", r#"version = "2"; libfoo = "2.2";"#);
    let before = lab.vm("vm2");
    let pushed = lab.push(&["--dry-run"]);
    assert_eq!(pushed.0.code, 0, "{}", pushed.0);
    let plan: serde_json::Value = serde_json::from_str(pushed.0.stdout.lines().last().unwrap()).unwrap();
    let changed = plan["moves"].as_array().unwrap().iter().find(|m| m["vm"] == "vm2").unwrap();
    assert_eq!(changed["how"], "restart", "{changed}");
    let diff = changed["diff"]["changed"].as_array().unwrap();
    let libfoo = diff.iter().find(|package| package["name"] == "libfoo").unwrap();
    assert_eq!((&libfoo["before"], &libfoo["after"]), (&vec!["2.1"].into(), &vec!["2.2"].into()), "{libfoo}");
    let app = diff.iter().find(|package| package["name"] == "app").unwrap();
    assert_eq!((&app["before"], &app["after"]), (&vec!["1"].into(), &vec!["2"].into()), "{app}");
    assert_eq!(lab.vm("vm2"), before, "a dry run changes nothing");
}

#[test]
fn saying_no_and_saying_nothing() {
    let lab = Lab::deployed(&[]);
    lab.edit_vm("vm2", r#"version = "2";"#);
    let (before, transactions) = (lab.vm("vm2"), lab.transactions());
    let untouched = || {
        assert_eq!(lab.vm("vm2"), before);
        assert_eq!(lab.transactions().len(), transactions.len());
        lab.answers("vm2", "vm2 version 1");
        lab.tidy();
    };

    // No terminal and no --yes.
    let silent = lab.laptop(&["deployvm", "push", "-H", HYPERVISOR]).expect(2);
    silent.says("--yes");
    untouched();

    // A terminal, and a no.
    let deployvm = format!("{} push -H {HYPERVISOR}", env!("CARGO_BIN_EXE_deployvm"));
    for (answer, code) in [("n\n", 130), ("\n", 130), ("\u{3}", 130)] {
        let mut asked = Running::start(lab.command(&["script", "-qec", &deployvm, "/dev/null"]), true);
        until("the question", 60, || {
            let said = asked.stdout();
            if said.contains("Deploy to") { Ok(()) } else { Err(said) }
        });
        asked.types(answer);
        asked.wait(30).expect(code);
        untouched();
    }

    // And a yes.
    let mut asked = Running::start(lab.command(&["script", "-qec", &deployvm, "/dev/null"]), true);
    until(
        "the question",
        60,
        || if asked.stdout().contains("Deploy to") { Ok(()) } else { Err(String::new()) },
    );
    asked.types("y\n");
    asked.wait(120).expect(0);
    lab.answers("vm2", "vm2 version 2");
}
