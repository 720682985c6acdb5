//! A laptop that dies, a user who presses Ctrl-C, and a transaction that is killed: at
//! every step the VM ends on its old generation, or verified on its new one.

use crate::faults::gate;
use crate::harness::{Lab, Pushed};
use crate::hypervisor::Vm;

/// Panics unless what the transaction recorded is so: all links, the profile, the process
/// and the web server agree with it. Returns the result word.
#[track_caller]
fn consistent(lab: &Lab, id: &str, old: &Vm, version: &str) -> String {
    let outcome = lab.outcome(id);
    let entry = lab.ledger().into_iter().find(|e| e["id"] == id).unwrap();
    assert_eq!(entry["result"], outcome[0], "{entry}");
    let now = lab.vm("vm2");
    match outcome[0].as_str() {
        "rolled-back" => {
            now.runs(lab, old.booted.as_ref().unwrap());
            assert_eq!((now.generation, &now.generations), (old.generation, &old.generations));
        }
        "deployed" => {
            now.runs(lab, entry["to"].as_str().unwrap());
            assert_eq!(entry["generation"], now.generation.unwrap());
        }
        other => panic!("{id}: {other}: {outcome:?}"),
    }
    let wanted =
        if outcome[0] == "deployed" { version } else { &lab.version_of(old.booted.as_ref().unwrap()) };
    lab.answers("vm2", &format!("vm2 version {wanted}"));
    // What the laptop had held while it copied: the next push drops it after a day.
    lab.tidy_but("-pending-");
    outcome[0].clone()
}

#[test]
fn a_laptop_that_dies_changes_nothing() {
    let lab = Lab::deployed(&[]);
    for step in ["recorded", "stopping", "flipped", "started", "proven", "waiting"] {
        let (old, before) = (lab.vm("vm2"), lab.transactions());
        let version = format!("2-{step}");
        lab.edit_vm("vm2", &format!(r#"version = "{version}";"#));
        let push = lab.pushing(&["vm2"], &[("DEPLOYVM_DEFAULTS__VERDICT", "3")]);
        let id = lab.reaches(&before, step);
        push.signal("KILL");
        push.wait(10);
        let result = consistent(&lab, &id, &old, &version);
        if step != "waiting" {
            assert_eq!(result, "rolled-back", "{step}");
            assert_eq!(lab.last_entry("vm2")["reason"], "no-verdict", "{step}");
        }
    }
    lab.push(&[]).expect(0);
    lab.answers("vm2", "vm2 version 2-waiting");
}

#[test]
fn a_line_that_drops_is_picked_up_again() {
    let lab = Lab::deployed(&[]);
    // For longer than the hypervisor waits for the laptop: undone, and the laptop learns it.
    let (old, other, before) = (lab.vm("vm2"), lab.vm("vm1"), lab.transactions());
    lab.write("deployvm.toml", "[vms.vm1]\nafter = [\"vm2\"]\n");
    lab.change_vm("vm1", r#"version = "long";"#);
    lab.edit_vm("vm2", r#"version = "long";"#);
    let push = lab.pushing(&[], &[("DEPLOYVM_DEFAULTS__VERDICT", "5")]);
    let id = lab.reaches(&before, "flipped");
    lab.script("link", &["down"]).expect(0);
    lab.outcome(&id);
    lab.script("link", &["up"]).expect(0);
    let pushed = Pushed(push.wait(200)).expect(30);
    assert_eq!(pushed.vm_is("vm2", "rolled-back", 30)["reason"], "no-verdict");
    pushed.vm_is("vm1", "skipped", 13);
    assert_eq!(consistent(&lab, &id, &old, "long"), "rolled-back");
    assert_eq!(lab.vm("vm1"), other);

    // For a moment, with a VM still to come: nothing is lost.
    let before = lab.transactions();
    let push = lab.pushing(&[], &[("DEPLOYVM_DEFAULTS__VERDICT", "60")]);
    let id = lab.reaches(&before, "started");
    lab.script("link", &["down"]).expect(0);
    lab.reaches(&before, "booted");
    lab.script("link", &["up"]).expect(0);
    let pushed = Pushed(push.wait(200)).expect(0);
    pushed.vm_is("vm1", "deployed", 0);
    pushed.vm_is("vm2", "deployed", 0);
    assert_eq!(consistent(&lab, &id, &old, "long"), "deployed");
    lab.answers("vm1", "vm1 version long");
}

#[test]
fn ctrl_c_during_a_switch_undoes_it() {
    let lab = Lab::deployed(&[]);
    lab.write("deployvm.toml", "[vms.vm1]\nafter = [\"vm2\"]\n");
    for step in ["stopping", "flipped", "started", "proven"] {
        let (old, other, before) = (lab.vm("vm2"), lab.vm("vm1"), lab.transactions());
        let version = format!("2-{step}");
        lab.change_vm("vm1", &format!(r#"version = "{version}";"#));
        lab.edit_vm("vm2", &format!(r#"version = "{version}";"#));
        let push = lab.pushing(&[], &[]);
        let id = lab.reaches(&before, step);
        push.signal("INT");
        let pushed = Pushed(push.wait(120)).expect(30);
        let said = pushed.vm_is("vm2", "rolled-back", 30);
        assert_eq!(said["reason"], "interrupted", "{step}");
        let console = said["console"].to_string();
        assert!(!console.contains("Starting ") && !console.contains("Started "), "systemd's words: {said}");
        pushed.vm_is("vm1", "skipped", 13);
        assert_eq!(consistent(&lab, &id, &old, &version), "rolled-back", "{step}");
        assert_eq!(lab.vm("vm1"), other, "{step}");
    }
}

#[test]
fn ctrl_c_before_a_switch_touches_nothing() {
    let lab = Lab::deployed(&[]);
    let before = (lab.vm("vm1"), lab.vm("vm2"), lab.transactions());
    lab.edit_vm("vm2", r#"version = "2"; evalCost = 120;"#);
    let push = lab.pushing(&["vm2"], &[]);
    crate::running::until("evaluation", 60, || {
        let said = push.stdout();
        if said.contains(r#""event":"evaluating""#) { Ok(()) } else { Err(said) }
    });
    push.signal("INT");
    push.wait(60).expect(130);
    assert_eq!((lab.vm("vm1"), lab.vm("vm2"), lab.transactions()), before);
    lab.tidy();
}

#[test]
fn ctrl_c_between_two_switches_leaves_the_second_alone() {
    let lab = Lab::deployed(&[]);
    lab.gates();
    let other = lab.vm("vm2");
    lab.change_vm("vm1", r#"version = "2";"#);
    lab.edit_vm("vm2", r#"version = "2";"#);
    // The first is verified and decided, and its end is not known yet.
    let commit = gate::named("commit");
    lab.arm(commit);
    let push = lab.pushing(&[], &[]);
    lab.arrives(commit, || Ok(()));
    push.signal("INT");
    lab.release(commit);
    let pushed = Pushed(push.wait(60)).expect(13);
    let said = pushed.vm_is("vm1", "deployed", 0);
    lab.answers("vm1", "vm1 version 2");
    lab.vm("vm1").runs(&lab, said["to"].as_str().unwrap());
    pushed.vm_is("vm2", "skipped", 13);
    assert_eq!(lab.vm("vm2"), other);
    lab.answers("vm2", "vm2 version 1");
    lab.tidy();
    let rest = lab.push(&[]).expect(0);
    rest.vm_is("vm1", "unchanged", 0);
    rest.vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");
}

#[test]
fn what_ends_a_session_is_heard_like_ctrl_c() {
    let lab = Lab::deployed(&[]);
    // Where the shell is zsh or fish, a terminal that closes is told twice.
    for (signal, twice) in [("TERM", false), ("HUP", true)] {
        let (old, before) = (lab.vm("vm2"), lab.transactions());
        let version = format!("2-{signal}");
        lab.edit_vm("vm2", &format!(r#"version = "{version}";"#));
        let push = lab.pushing(&["vm2"], &[]);
        let id = lab.reaches(&before, "started");
        push.signal(signal);
        if twice {
            says(&push, "vm2: interrupted: asking the hypervisor to undo it");
            push.signal(signal);
        }
        let pushed = Pushed(push.wait(120)).expect(30);
        assert_eq!(pushed.vm_is("vm2", "rolled-back", 30)["reason"], "interrupted", "{signal}");
        assert_eq!(consistent(&lab, &id, &old, &version), "rolled-back", "{signal}");
    }
}

/// Waits until a push has said this.
#[track_caller]
fn says(push: &crate::running::Running, text: &str) {
    crate::running::until(text, 60, || {
        let said = push.stdout();
        if said.contains(text) { Ok(()) } else { Err(said) }
    });
}

#[test]
fn the_second_ctrl_c_leaves_at_once_and_the_next_push_says_how_it_ended() {
    let lab = Lab::up(&[]);
    // Its guest takes its time to go down: the undo waits for that.
    lab.edit_vm("vm2", "stopSeconds = 40;");
    lab.push(&[]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    let (old, before) = (lab.vm("vm2"), lab.transactions());
    lab.edit_vm("vm2", r#"version = "2"; stopSeconds = 0;"#);
    let push = lab.pushing(&["vm2"], &[]);
    let id = lab.reaches(&before, "stopping");
    push.signal("INT");
    says(&push, "vm2: interrupted: asking the hypervisor to undo it");
    crate::running::until("the hypervisor is told", 30, || {
        let decided = lab.disk(&format!("/var/lib/deployvm/transactions/{id}/decided"));
        decided.read_link().map_err(|e| e.to_string())
    });
    push.signal("INT");
    let left = Pushed(push.wait(10));
    assert_eq!(left.0.code, 40, "{}", left.0);
    left.0.says("left while vm2 was being switched").says("finishes or undoes that by itself");
    left.0.says("deployvm status --no-eval vm2");
    assert!(lab.transaction_file(&id, "outcome").is_none(), "it was not at once");

    lab.outcome(&id);
    assert_eq!(consistent(&lab, &id, &old, "2"), "rolled-back");
    let warned = |pushed: &Pushed| {
        let about = |e: &serde_json::Value| e["message"].as_str().unwrap().contains(&id);
        pushed.events("warning").into_iter().filter(about).collect::<Vec<_>>()
    };
    let pushed = lab.push(&["vm2"]).expect(0);
    pushed.vm_is("vm2", "deployed", 0);
    let said = warned(&pushed);
    assert_eq!(said.len(), 1, "one clear line: {said:?}");
    let text = said[0]["message"].as_str().unwrap();
    for part in ["vm2: ", "push vm2", "ended by itself: undone (interrupted): what ran before runs again"] {
        assert!(text.contains(part), "{text}");
    }
    lab.answers("vm2", "vm2 version 2");
    // It is told once.
    let again = lab.push(&["vm2"]).expect(0);
    assert!(warned(&again).is_empty() && again.events("warning").is_empty(), "{}", again.0);
}

/// Kills the sessions of the hypervisor's sshd: the laptop's connections are cut.
pub const CUT: &str = "for p in /proc/[0-9]*; do
    case $(tr '\\0' ' ' <$p/cmdline 2>/dev/null) in 'sshd: root'*) kill -s KILL ${p#/proc/} 2>/dev/null || : ;; esac
done";

#[test]
fn a_verdict_is_handed_in_over_the_next_connection() {
    let lab = Lab::deployed(&[]);
    let check = "[vms.vm2.checks.web]\nhttp = \"http://10.2.0.2/\"\nfrom = [\"laptop\"]\n";
    lab.write("deployvm.toml", check);
    for (step, version) in [("started", "2"), ("stopping", "3")] {
        let (old, before) = (lab.vm("vm2"), lab.transactions());
        lab.edit_vm("vm2", &format!(r#"version = "{version}";"#));
        let push = lab.pushing(&["vm2"], &[("DEPLOYVM_DEFAULTS__VERDICT", "60")]);
        let id = lab.reaches(&before, step);
        lab.hv(CUT).expect(0);
        let pushed = Pushed(push.wait(200)).expect(0);
        pushed.0.says("the connection was lost");
        let said = pushed.vm_is("vm2", "deployed", 0);
        let laptop = |c: &serde_json::Value| c["from"] == "laptop" && c["ok"] == true;
        assert_eq!(said["checks"].as_array().unwrap().iter().filter(|c| laptop(c)).count(), 1, "{said}");
        assert_eq!(consistent(&lab, &id, &old, version), "deployed", "{step}");
        // Nothing is left, although the connection that held it has gone.
        lab.tidy();
    }
}

#[test]
fn ctrl_c_is_heard_while_there_is_no_connection() {
    let lab = Lab::deployed(&[]);
    let (old, before) = (lab.vm("vm2"), lab.transactions());
    lab.edit_vm("vm2", r#"version = "2";"#);
    let push = lab.pushing(&["vm2"], &[("DEPLOYVM_DEFAULTS__VERDICT", "200")]);
    let id = lab.reaches(&before, "flipped");
    lab.script("link", &["down"]).expect(0);
    says(&push, "the connection was lost");
    push.signal("INT");
    says(&push, "cannot be asked now");
    lab.script("link", &["up"]).expect(0);
    let pushed = Pushed(push.wait(200)).expect(30);
    assert_eq!(pushed.vm_is("vm2", "rolled-back", 30)["reason"], "interrupted");
    assert_eq!(consistent(&lab, &id, &old, "2"), "rolled-back");
}

/// Does something to the unit of a transaction that has reached a step.
#[track_caller]
fn harm(lab: &Lab, step: &str, how: &str) {
    let (old, before) = (lab.vm("vm2"), lab.transactions());
    let version = format!("{how}-{step}");
    lab.edit_vm("vm2", &format!(r#"version = "{version}";"#));
    let push = lab.pushing(&["vm2"], &[]);
    let id = lab.reaches(&before, step);
    let unit = format!("deployvm-push-vm2-{id}.service");
    lab.hv(&match how {
        "process" => format!("pid=$(systemctl show -p MainPID --value {unit}); [ $pid -gt 0 ]; kill -s KILL $pid"),
        "unit" => format!("systemctl kill -s KILL {unit}"),
        "torn" => format!(
            "cd /var/lib/deployvm/transactions/{id}/result; printf '{{}}' >check-98; : >check-99; systemctl kill -s KILL {unit}"
        ),
        _ => format!("systemctl stop {unit}"),
    })
    .expect(0);
    let pushed = Pushed(push.wait(120)).expect(30);
    pushed.vm_is("vm2", "rolled-back", 30);
    assert_eq!(consistent(lab, &id, &old, &version), "rolled-back", "{how} {step}");
    let reason = lab.last_entry("vm2")["reason"].clone();
    assert!(reason == "transaction-killed" || reason == "transaction-stopped", "{how} {step}: {reason}");
}

#[test]
fn a_transaction_whose_process_is_killed_is_undone() {
    let lab = Lab::deployed(&[]);
    for step in ["recorded", "stopping", "flipped", "started", "proven"] {
        harm(&lab, step, "process");
    }
}

#[test]
fn a_transaction_whose_whole_unit_is_killed_is_undone() {
    let lab = Lab::deployed(&[]);
    for step in ["stopping", "flipped", "started", "proven"] {
        harm(&lab, step, "unit");
    }
}

/// What a check said is a file for a moment before it has its text.
#[test]
fn what_a_dead_transaction_left_half_done_spoils_nothing() {
    let lab = Lab::deployed(&[]);
    harm(&lab, "started", "torn");
    let entry = lab.last_entry("vm2");
    assert_eq!(entry["checks"], serde_json::json!([{}]));
    // A power cut after the outcome leaves the roots: of this one, and one that is forgotten.
    let id = entry["id"].as_str().unwrap();
    let root = "ln -s /nix/store/x /nix/var/nix/gcroots/deployvm";
    lab.hv(&format!("{root}/{id}-to && {root}/20200101t000000-000000-from")).expect(0);
    lab.edit_vm("vm2", r#"version = "after";"#);
    lab.push(&["vm2"]).expect(0);
    lab.tidy();
}

#[test]
fn a_transaction_that_is_stopped_is_undone() {
    let lab = Lab::deployed(&[]);
    for step in ["stopping", "flipped", "started", "proven"] {
        harm(&lab, step, "stop");
    }
}

#[test]
fn a_systemd_that_does_not_answer_for_a_while_is_asked_again() {
    let lab = Lab::deployed(&[]);
    // As while it re-executes itself: it answers nobody, or has understood and cannot say so.
    let silent = "mkdir -p /run/current-system/sw/bin; cat >/run/current-system/sw/bin/systemd-run <<'END'
#!/bin/sh
case \"$*\" in *deployvm-guard-*) what=guard ;; *) what=push ;; esac
echo >>/run/asked-$what
if [ $(wc -l </run/asked-$what) -gt 3 ]; then exec /usr/bin/systemd-run \"$@\"; fi
if [ -e /run/understands ]; then /usr/bin/systemd-run \"$@\"; fi
echo 'Failed to start transient service unit: Transport endpoint is not connected' >&2
exit 1
END
chmod 0755 /run/current-system/sw/bin/systemd-run";
    lab.hv(silent).expect(0);
    for (version, prepare) in
        [("2", "rm -f /run/asked-*"), ("3", "rm -f /run/asked-*; touch /run/understands")]
    {
        lab.hv(prepare).expect(0);
        lab.edit_vm("vm2", &format!("version = \"{version}\";"));
        lab.push(&["vm2"]).vm_is("vm2", "deployed", 0);
        lab.answers("vm2", &format!("vm2 version {version}"));
        let asked = lab.hv("wc -l </run/asked-push; wc -l </run/asked-guard").stdout;
        assert_eq!(asked, if version == "2" { "4\n4\n" } else { "1\n1\n" });
    }
    lab.tidy();
}
