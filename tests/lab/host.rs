//! The hypervisor's own system: switched on trial, put back whatever goes wrong, and its
//! microVMs left alone, restarted or started as the plan has said.

use serde_json::Value;

use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::{Running, until};

/// The line that stands for the hypervisor itself.
const HOST: &str = "_host";

/// A lab whose hypervisor runs the flake's own system, with vm1 on it.
fn nixos() -> Lab {
    let lab = Lab::up(&["--no-autostart"]);
    lab.script("nixos", &[]).expect(0);
    lab.script("install-vm", &["vm1"]).expect(0);
    lab.answers("vm1", "vm1 version 1");
    lab
}

/// Rewrites the words of the hypervisor's configuration, and commits.
fn wish(lab: &Lab, words: &str) {
    lab.write("hosts/hypervisor.nix", &format!("{{ {words} }}\n"));
    lab.commit();
}

fn pushing(lab: &Lab, variables: &[(&str, &str)]) -> Running {
    let mut command = lab.command(&["deployvm", "host", "push", "-H", HYPERVISOR, "--yes", "--json"]);
    command.envs(variables.iter().copied());
    Running::start(command, false)
}

fn push(lab: &Lab) -> Pushed {
    Pushed(pushing(lab, &[]).wait(300))
}

/// What is really there: the version below /etc, the system that runs, the one that the
/// next boot activates, the profile's generation.
#[derive(Debug, Clone, PartialEq)]
struct System {
    version: String,
    running: String,
    boots: String,
    profile: String,
}

fn system(lab: &Lab) -> System {
    let text = "cat /etc/lab-version; readlink /run/current-system; cat /boot/lab-default
        readlink /nix/var/nix/profiles/system";
    let said = lab.hv(text).expect(0).stdout;
    let mut lines = said.lines().map(str::to_owned);
    let mut line = || lines.next().unwrap();
    System { version: line(), running: line(), boots: line(), profile: line() }
}

/// What a plan says of a VM.
#[track_caller]
fn effect(lab: &Lab, vm: &str) -> Value {
    let plan = lab.laptop(&["deployvm", "host", "plan", "-H", HYPERVISOR, "--json"]).expect(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let effects = plan["effects"].as_array().unwrap();
    effects.iter().find(|effect| effect["vm"] == vm).unwrap_or_else(|| panic!("{plan}")).clone()
}

#[test]
fn a_system_is_switched_on_trial() {
    let lab = nixos();
    let first = system(&lab);
    let vm1 = lab.vm("vm1");
    wish(&lab, r#"version = "2"; kernel = "2";"#);

    let plan = lab.laptop(&["deployvm", "host", "plan", "-H", HYPERVISOR, "--exit-code"]).expect(3);
    plan.says("_host  switch").says("host-app: 1 → 2").says("vm1  untouched");
    plan.says("a reboot is needed for the kernel, its modules and the initrd to change");
    assert_eq!(system(&lab), first, "a plan changes nothing");

    let pushed = push(&lab).expect(0);
    let said = pushed.vm_is(HOST, "deployed", 0);
    assert_eq!(said["generation"], 2, "{said}");
    assert!(said["detail"].as_str().unwrap().starts_with("a reboot is needed"), "{said}");
    let second = system(&lab);
    assert_eq!((second.version.as_str(), second.profile.as_str()), ("2", "system-2-link"));
    assert_eq!((&second.running, &second.boots), (&said["to"].as_str().unwrap().to_owned(), &second.running));
    assert_eq!(lab.vm("vm1").pid, vm1.pid, "vm1 has nothing to do with it");
    let entry = lab.last_entry(HOST);
    assert_eq!((&entry["verb"], &entry["result"]), (&"host-push".into(), &"deployed".into()), "{entry}");
    lab.laptop(&["deployvm", "history", "-H", HYPERVISOR]).expect(0).says("host-push");
    push(&lab).expect(0).vm_is(HOST, "unchanged", 0);
    lab.tidy();

    // Whatever goes wrong, all is as it was.
    let mut number = 2;
    for (fault, reason) in [
        ("switch", "switch-failed"),
        ("unit", "switch-failed"),
        ("vm", "vm-down"),
        ("boot", "commit-failed"),
        ("ssh", "no-verdict"),
        ("network", "no-verdict"),
    ] {
        number += 1;
        wish(&lab, &format!(r#"version = "{number}"; kernel = "2"; fault = "{fault}";"#));
        // Where nobody can hand one in, nobody waits for long.
        let verdict = if reason == "no-verdict" { "2" } else { "20" };
        let pushed = Pushed(pushing(&lab, &[("DEPLOYVM_DEFAULTS__VERDICT", verdict)]).wait(300)).expect(30);
        let said = pushed.vm_is(HOST, "rolled-back", 30);
        assert_eq!(said["reason"], reason, "{fault}: {said}");
        assert_eq!(system(&lab), second, "{fault}");
        let entry = lab.last_entry(HOST);
        assert_eq!(
            (&entry["verb"], &entry["result"], &entry["reason"]),
            (&"host-push".into(), &"rolled-back".into(), &reason.into()),
            "{entry}"
        );
        if reason == "no-verdict" {
            let detail = said["detail"].as_str().unwrap();
            assert!(detail.contains("could not come back over a fresh connection"), "{said}");
        }
        if fault != "ssh" && fault != "network" {
            assert!(!said["console"].as_array().unwrap().is_empty(), "{fault}: {said}");
        }
        let links = lab.hv("ls /nix/var/nix/profiles").expect(0).stdout;
        assert!(!links.contains("system-3-link"), "{fault}: {links}");
        lab.hv("systemctl is-active -q ssh.service microvm@vm1.service").expect(0);
        assert_eq!(lab.vm("vm1").pid == vm1.pid, number < 5, "{fault} restarts vm1 only where it stops it");
        lab.tidy();
    }
    lab.answers("vm1", "vm1 version 1");

    // Back, and forth again by number.
    let back = |args: &[&str]| {
        lab.laptop(&[&["deployvm", "host", "rollback", "-H", HYPERVISOR, "--yes"], args].concat())
    };
    let pid = lab.vm("vm1").pid;
    back(&[]).expect(0).says("deployed").says("generation 1");
    assert_eq!(system(&lab), first);
    let list = lab.laptop(&["deployvm", "host", "generations", "-H", HYPERVISOR, "--json"]).expect(0);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    let marks =
        |n: usize| ["number", "current", "booted", "default"].map(|key| list["generations"][n][key].clone());
    assert_eq!(marks(0), [Value::from(1), true.into(), true.into(), true.into()], "{list}");
    assert_eq!(marks(1), [Value::from(2), false.into(), false.into(), false.into()], "{list}");
    back(&[]).expect(12).says("no generation of the hypervisor's system before");
    back(&["--to", "9"]).expect(2).says("it has 1, 2");
    back(&["--to", "2"]).expect(0);
    assert_eq!(system(&lab), second);
    assert_eq!(lab.vm("vm1").pid, pid);
    assert_eq!(lab.last_entry(HOST)["verb"], "host-rollback");
    lab.tidy();
}

#[test]
fn whoever_dies_the_old_system_is_back() {
    let lab = nixos();
    let first = system(&lab);
    let pid = lab.vm("vm1").pid;
    wish(&lab, r#"version = "2";"#);

    // The laptop dies: nobody hands a verdict in.
    let before = lab.transactions();
    let running = pushing(&lab, &[("DEPLOYVM_DEFAULTS__VERDICT", "3"), ("DEPLOYVM_DEFAULTS__SETTLE", "15")]);
    let id = lab.reaches(&before, "switched");
    assert_eq!((system(&lab).version.as_str(), &system(&lab).boots), ("2", &first.boots), "on trial");
    let held = lab.laptop(&["deployvm", "push", "-H", HYPERVISOR, "--yes", "vm1"]);
    held.expect(12).says("vm1 refused").says("locked by").says("host-push _host");
    running.signal("KILL");
    running.wait(10);
    assert_eq!(lab.outcome(&id)[..2], ["rolled-back", "30"]);
    assert_eq!(system(&lab), first);
    assert_eq!(lab.vm("vm1").pid, pid);
    // The next command tells whoever is there.
    let status = lab.laptop(&["deployvm", "status", "-H", HYPERVISOR, "--no-eval"]).expect(0);
    status.says("_host: the switch").says("undone (no-verdict)");

    // The transaction dies: its guard puts the old one back.
    let before = lab.transactions();
    let running = pushing(&lab, &[("DEPLOYVM_DEFAULTS__SETTLE", "30")]);
    let id = lab.reaches(&before, "booted");
    lab.hv(&format!("systemctl kill -s KILL deployvm-host-push-_host-{id}.service")).expect(0);
    let killed = Pushed(running.wait(120)).expect(30);
    assert_eq!(killed.vm(HOST)["result"], "rolled-back");
    assert_eq!(system(&lab), first);
    lab.tidy_but("-pending-");

    // The power fails: the machine boots the old one by itself.
    let before = lab.transactions();
    let running = pushing(&lab, &[("DEPLOYVM_DEFAULTS__SETTLE", "60")]);
    let id = lab.reaches(&before, "booted");
    running.signal("KILL");
    running.wait(10);
    lab.script("reboot", &["--hard"]).expect(0);
    assert_eq!(system(&lab), first);
    lab.laptop(&["deployvm", "status", "-H", HYPERVISOR, "--no-eval"]).expect(0).says(&id);
    let outcome = lab.outcome(&id);
    assert_eq!((outcome[0].as_str(), outcome[3].as_str()), ("rolled-back", "undo.hypervisor-restarted"));
    assert_eq!(system(&lab), first);

    // And all goes on as if nothing had been; what was committed is what boots.
    push(&lab).expect(0).vm_is(HOST, "deployed", 0);
    let second = system(&lab);
    assert_eq!((second.version.as_str(), second.profile.as_str()), ("2", "system-2-link"));
    lab.script("reboot", &[]).expect(0);
    assert_eq!(system(&lab), second);
    lab.tidy_but("-pending-");
}

#[test]
fn vms_of_the_hypervisor_are_deployed_with_it() {
    let lab = nixos();
    let pid = lab.vm("vm1").pid;
    let owned = |version: &str, words: &str| {
        wish(&lab, &format!(r#"owned.vm2 = {{ index = 2; version = "{version}"; {words} }};"#));
    };
    // One that is not there yet is installed, started and checked.
    owned("1", "");
    assert_eq!(effect(&lab, "vm2")["does"], "starts");
    let pushed = push(&lab).expect(0);
    let said = pushed.vm_is(HOST, "deployed", 0);
    assert_eq!(said["checks"][0]["name"], "vm2 ping", "{said}");
    assert_eq!(said["detail"], "vm2 was started", "{said}");
    lab.answers("vm2", "vm2 version 1");
    let first = lab.vm("vm2");

    // `push` leaves it alone, and says what to do.
    let refused = lab.laptop(&["deployvm", "push", "-H", HYPERVISOR, "--yes", "vm2"]);
    refused.expect(12).says("deployvm host push");

    // A new one restarts it. Its own check is asked; what failed before is excused once it is
    // not new any more.
    lab.write(
        "deployvm.toml",
        "[vms.vm2.checks.peer]\ntcp = \"10.99.0.2:7777\"\nfrom = [\"hypervisor\"]\nwithin = 5\n",
    );
    owned("1.1", "");
    assert_eq!(effect(&lab, "vm2")["does"], "restarts");
    assert_eq!(push(&lab).expect(31).vm(HOST)["reason"], "check-failed");
    lab.hv("systemd-run --quiet --unit=peer socat TCP-LISTEN:7777,fork,reuseaddr /dev/null").expect(0);
    push(&lab).expect(0).vm_is(HOST, "deployed", 0);
    lab.hv("systemctl stop peer").expect(0);
    owned("2", "");
    let pushed = push(&lab).expect(0);
    let said = pushed.vm_is(HOST, "deployed", 0);
    assert_eq!(said["detail"], "vm2 was restarted", "{said}");
    let peer = said["checks"].as_array().unwrap().iter().find(|check| check["name"] == "vm2 peer").unwrap();
    assert_eq!((&peer["ok"], &peer["note"]), (&false.into(), &"failing-before".into()), "{said}");
    lab.write("deployvm.toml", "");
    lab.answers("vm2", "vm2 version 2");
    let second = lab.vm("vm2");

    // What does not stay up is undone with the system that declares it.
    owned("3", r#"fault = "exit";"#);
    let pushed = Pushed(pushing(&lab, &[("DEPLOYVM_DEFAULTS__BOOT", "8")]).wait(300)).expect(30);
    assert_eq!(pushed.vm(HOST)["reason"], "vm-down", "{}", pushed.0);
    until("vm2 says version 2", 60, || match lab.http("vm2") {
        Ok(said) if said == "vm2 version 2" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    lab.vm("vm2").carries(&lab, second.booted.as_ref().unwrap());
    assert_eq!(lab.vm("vm2").current, second.current);
    let console = pushed.vm(HOST)["console"].to_string();
    assert!(console.contains("vm2 does not run") && console.contains("exits at once"), "{console}");

    // What somebody has staged there is put back, under a VM that goes on running.
    let staged = first.current.as_ref().unwrap();
    let stage = format!("ln -sfn {staged} /var/lib/microvms/vm2/current");
    lab.hv(&stage).expect(0);
    owned("2", "restartIfChanged = false;");
    let said = effect(&lab, "vm2");
    let own: Value = second.current.clone().unwrap().into();
    assert_eq!((&said["does"], &said["to"]), (&"stages".into(), &own), "{said}");
    let running = lab.vm("vm2").pid;
    assert_eq!(push(&lab).expect(0).vm(HOST)["detail"], "vm2 has another runner staged");
    assert_eq!((lab.vm("vm2").pid, lab.vm("vm2").current), (running, second.current.clone()));

    // And one that was stopped is started.
    lab.hv(&format!("systemctl stop microvm@vm2; {stage}")).expect(0);
    wish(&lab, r#"version = "9"; owned.vm2 = { index = 2; version = "2"; restartIfChanged = false; };"#);
    let said = effect(&lab, "vm2");
    assert_eq!((&said["does"], &said["to"]), (&"starts".into(), &own), "{said}");
    push(&lab).expect(0);
    lab.answers("vm2", "vm2 version 2");
    assert_eq!(lab.vm("vm2").current, second.current);

    // A new one that a bad system has installed is taken away with it.
    wish(
        &lab,
        r#"version = "10"; fault = "unit"; owned.vm2 = { index = 2; version = "2"; restartIfChanged = false; };
           owned.vm3 = { index = 3; };"#,
    );
    push(&lab).expect(30);
    assert_eq!(lab.vm("vm3").active, "inactive");
    lab.hv("[ ! -e /var/lib/microvms/vm3/current ]").expect(0);
    lab.answers("vm2", "vm2 version 2");

    assert_eq!(lab.vm("vm1").pid, pid, "vm1 has nothing to do with it");
    lab.tidy();
}

#[test]
fn an_adoption_is_undone_whole() {
    let lab = nixos();
    let before = lab.vm("vm1");
    let old = before.booted.clone().unwrap();
    let as_before = |when: &str| {
        let now = lab.vm("vm1");
        assert_eq!((&now.current, &now.booted), (&before.current, &before.booted), "{when}");
        lab.hv("[ ! -L /var/lib/microvms/vm1/toplevel ]").expect(0);
        lab.answers("vm1", "vm1 version 1");
    };

    // Switches that died and that nobody has ended: none of a VM begins beside one of the
    // hypervisor, nor the other way round.
    let planted = "/var/lib/deployvm/transactions/20260102t030405z-0a1b2c";
    let plant = |vm: &str| {
        lab.hv(&format!("mkdir -p {planted}/p {planted}/before; printf {vm} >{planted}/p/vm; touch {planted}/before/recorded"))
            .expect(0);
    };
    plant(HOST);
    lab.laptop(&["deployvm", "push", "-H", HYPERVISOR, "--yes", "vm1"]).expect(12).says("still under way");
    plant("vm1");
    wish(&lab, r#"version = "2";"#);
    let refused = push(&lab).expect(12);
    assert_eq!(refused.vm(HOST)["reason"], "unfinished-before", "{}", refused.0);
    lab.hv(&format!("rm -r {planted}")).expect(0);

    // A VM becomes the hypervisor's own by a system that is undone: it is nobody's again.
    let adopt = |fault: &str| {
        wish(&lab, &format!(r#"version = "2"; {fault} owned.vm1 = {{ index = 1; version = "2"; }};"#));
    };
    adopt(r#"fault = "unit";"#);
    push(&lab).expect(30).vm_is(HOST, "rolled-back", 30);
    as_before("undone");
    lab.tidy();

    // The same by a power cut: the old system boots by itself, and the VM what it had.
    adopt("");
    let transactions = lab.transactions();
    let running = pushing(&lab, &[("DEPLOYVM_DEFAULTS__SETTLE", "60")]);
    let id = lab.reaches(&transactions, "booted");
    lab.answers("vm1", "vm1 version 2");
    let roots = lab.hv("readlink /nix/var/nix/gcroots/deployvm/*-old*").expect(0).stdout;
    assert!(roots.lines().any(|root| root == old), "what an undo boots is held: {roots}");
    running.signal("KILL");
    running.wait(10);
    lab.script("reboot", &["--hard"]).expect(0);
    // What a process of before the power cut has left behind means nobody of now.
    let stranger = format!(
        "systemd-run -q --unit=stranger sleep 1000
         systemctl show -p MainPID --value stranger | tee /var/lib/deployvm/transactions/{id}/held"
    );
    lab.hv(&stranger).expect(0);
    lab.laptop(&["deployvm", "status", "-H", HYPERVISOR, "--no-eval"]).expect(0).says(&id);
    assert_eq!(lab.outcome(&id)[0], "rolled-back");
    as_before("after the power cut");
    lab.hv("systemctl is-active -q stranger && systemctl stop stranger").expect(0);
    lab.tidy_but("-pending-");
}

#[test]
fn who_is_at_work_on_a_vm_is_waited_for() {
    let lab = nixos();
    wish(&lab, r#"version = "2";"#);
    lab.hv("mkdir -p /run/deployvm; echo somebody >/run/deployvm/vm1.holder").expect(0);
    lab.hv("systemd-run -q --unit=other flock /run/deployvm/vm1.lock sleep 1000").expect(0);
    let push = |wait: &str| {
        let words = ["deployvm", "host", "push", "-H", HYPERVISOR, "--yes", "--json", "--wait", wait];
        Running::start(lab.command(&words), false)
    };
    push("1s").wait(100).expect(12).says("waiting, for at most").says("vm1 is locked by somebody");
    let mut waiting = push("4m");
    until("it waits", 60, || match waiting.said() {
        said if said.contains("vm1 is locked by somebody: waiting") => Ok(()),
        said => Err(said),
    });
    assert!(waiting.goes_on());
    lab.hv("systemctl stop other").expect(0);
    Pushed(waiting.wait(200)).expect(0).vm_is(HOST, "deployed", 0);
    lab.tidy();
}
