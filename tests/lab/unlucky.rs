//! Accidents at a bad moment: what is forgotten too early, a disk of the VMs alone, a VM
//! that the machine does not start again, somebody who looks just now.

use std::path::PathBuf;

use crate::faults::gate;
use crate::harness::{HYPERVISOR, Lab};
use crate::running::until;

/// A transaction that somebody waits for is forgotten meanwhile, as when many others end.
#[test]
fn what_was_forgotten_is_not_called_refused() {
    let lab = Lab::deployed(&[]);
    let before = lab.transactions();
    lab.edit_vm("vm2", r#"version = "2";"#);
    let push =
        lab.pushing(&["vm2"], &[("DEPLOYVM_DEFAULTS__SETTLE", "10"), ("DEPLOYVM_DEFAULTS__VERDICT", "5")]);
    let id = lab.reaches(&before, "started");
    lab.script("link", &["down"]).expect(0);
    assert_eq!(lab.outcome(&id)[0], "rolled-back");
    lab.tidy_but("-pending-");
    lab.hv(&format!("rm -r /var/lib/deployvm/transactions/{id}")).expect(0);
    lab.script("link", &["up"]).expect(0);
    let said = push.wait(200).expect(40);
    said.says("no record of how the switch ended");
    assert!(!lab.transactions().contains(&id), "{said}");
    lab.answers("vm2", "vm2 version 1");
}

/// A check of vm1 by the laptop that holds once this file is there.
fn held(lab: &Lab) -> PathBuf {
    let flag = lab.dir.join("home/flag");
    let check = format!(
        "[vms.vm1.checks.flag]\nexec = [\"test\", \"-e\", \"{}\"]\nfrom = [\"laptop\"]\nwithin = 90\n",
        flag.display()
    );
    lab.write("deployvm.toml", &check);
    flag
}

/// The state directory is a file system of its own, and guests fill it up.
#[test]
fn the_disk_of_the_vms_fills_up_on_trial() {
    let lab = Lab::up(&["--vms", "1"]);
    lab.small_disks();
    lab.push(&[]).expect(0);
    let old = lab.vm("vm1").booted.unwrap();
    let flag = held(&lab);
    let before = lab.transactions();
    lab.edit_vm("vm1", r#"version = "2";"#);
    let fill = || {
        lab.hv("used=$(df -P -k /var/lib/microvms | awk 'NR == 2 { print $3 }')
            names=$(df -P -i /var/lib/microvms | awk 'NR == 2 { print $3 }')
            mount -o remount,size=${used}k,nr_inodes=$names /var/lib/microvms")
            .expect(0);
    };
    // Full before `current` is pointed back at the old runner, and what that gives free is
    // filled up as well.
    let push = lab.pushing(&["vm1"], &[("DEPLOYVM_DEFAULTS__SETTLE", "20")]);
    let id = lab.reaches(&before, "booted");
    fill();
    lab.reaches(&before, "proven");
    fill();
    std::fs::write(&flag, "").unwrap();
    push.wait(200).expect(30);
    let outcome = lab.outcome(&id);
    assert_eq!(
        (outcome[0].as_str(), outcome[3].as_str()),
        ("rolled-back", "undo.commit-failed"),
        "{outcome:?}"
    );
    lab.answers("vm1", "vm1 version 1");
    lab.vm("vm1").runs(&lab, &old);
    lab.hv("mount -o remount,size=1G,nr_inodes=100000 /var/lib/microvms").expect(0);
    lab.push(&["vm1"]).expect(0);
    lab.answers("vm1", "vm1 version 2");
    lab.tidy();
}

/// Somebody puts a link in the place of the VM's directory.
#[test]
fn the_directory_leads_elsewhere_on_trial() {
    let lab = Lab::deployed(&["--vms", "1"]);
    let flag = held(&lab);
    let before = lab.transactions();
    lab.edit_vm("vm1", r#"version = "2";"#);
    let push = lab.pushing(&["vm1"], &[]);
    lab.reaches(&before, "booted");
    lab.hv("cd /var/lib/microvms; mkdir /srv/else; mv vm1 /srv/real; ln -s /srv/else vm1").expect(0);
    std::fs::write(&flag, "").unwrap();
    let pushed = push.wait(200).expect(40);
    pushed.says("changed-by-others");
    assert_eq!(lab.hv("ls -A /srv/else").expect(0).stdout, "");
    lab.hv("cd /var/lib/microvms; rm vm1; mv /srv/real vm1").expect(0);
    lab.push(&["vm1"]).expect(0);
    lab.answers("vm1", "vm1 version 2");
    lab.tidy();
}

/// The machine boots, and does not start the VM by itself.
#[test]
fn a_power_cut_after_the_verdict_for_a_vm_without_autostart() {
    let lab = Lab::deployed(&["--vms", "1"]);
    lab.hv("rm /etc/systemd/system/microvms.target.wants/microvm@vm1.service; systemctl daemon-reload")
        .expect(0);
    // Before it is committed, and when all but the record is done.
    for (step, number) in [("commit", 2), ("ledger", 3)] {
        lab.gates();
        lab.edit_vm("vm1", &format!(r#"version = "{number}";"#));
        let step = gate::named(step);
        let push = lab.pushing_up_to(step, "vm1");
        lab.script("reboot", &["--hard"]).expect(0);
        push.wait(200).expect(0);
        lab.answers("vm1", &format!("vm1 version {number}"));
        let now = lab.vm("vm1");
        now.runs(&lab, now.booted.as_ref().unwrap());
        assert_eq!(now.generation, Some(number));
        assert_eq!(lab.last_entry("vm1")["result"], "deployed");
        lab.tidy();
    }
}

/// A line that a full disk has torn off looks whole at its end.
#[test]
fn a_torn_line_of_the_ledger_does_not_count() {
    let lab = Lab::deployed(&["--vms", "1"]);
    lab.gates();
    let before = lab.transactions();
    lab.edit_vm("vm1", r#"version = "2";"#);
    let commit = gate::named("commit");
    let push = lab.pushing_up_to(commit, "vm1");
    let id = lab.reaches(&before, "committing");
    let torn = format!(r#"{{"id":"{id}","vm":"vm1","checks":[{{"a":1}}"#);
    lab.hv(&format!("printf '%s' '{torn}' >>/var/lib/deployvm/ledger.jsonl")).expect(0);
    lab.release(commit);
    push.wait(200).expect(0);
    lab.tidy();
    lab.hv(&format!("grep -c '^{{\"id\":\"{id}\",.*\"result\":\"deployed\"' /var/lib/deployvm/ledger.jsonl"))
        .expect(0);
}

/// An sshd that takes no connections for a while, as under an attack.
#[test]
fn nobody_lets_the_verdict_in_at_first() {
    let lab = Lab::deployed(&["--vms", "1"]);
    let flag = held(&lab);
    let before = lab.transactions();
    lab.edit_vm("vm1", r#"version = "2";"#);
    let push = lab.pushing(&["vm1"], &[("DEPLOYVM_DEFAULTS__VERDICT", "90")]);
    lab.reaches(&before, "waiting");
    lab.hv("systemctl stop ssh.service").expect(0);
    std::fs::write(&flag, "").unwrap();
    until("it is not let in", 60, || match push.said() {
        said if said.contains("the verdict could not be handed in") => Ok(()),
        said => Err(said),
    });
    lab.hv("systemctl start ssh.service").expect(0);
    push.wait(200).expect(0);
    lab.answers("vm1", "vm1 version 2");
    lab.tidy();
}

/// Between systemd's word that a transaction runs and its own first step.
#[test]
fn somebody_looks_while_it_begins() {
    let lab = Lab::deployed(&[]);
    lab.hv(
        r#"mkdir -p /run/current-system/sw/bin; cd /run/current-system/sw/bin
        cat >systemd-run <<'END'
#!/bin/sh
late=
for word; do
    shift
    case $word:$late:$* in "/bin/sh::"*/transaction.sh\ run*) late=yes; set -- "$@" /bin/sh -c 'until [ -e /run/go ]; do sleep 0.1; done; exec "$@"' sh ;; esac
    set -- "$@" "$word"
done
exec /usr/bin/systemd-run "$@"
END
        chmod 0755 systemd-run"#,
    )
    .expect(0);
    let before = lab.transactions();
    lab.edit_vm("vm2", r#"version = "2";"#);
    let push = lab.pushing(&["vm2"], &[]);
    // It is there, nobody holds it, and it has not said anything.
    let id = until("it is visible", 60, || {
        let new = lab.transactions().into_iter().find(|id| !id.starts_with('.') && !before.contains(id));
        new.ok_or_else(|| "nothing yet".to_owned())
    });
    let unbegun = format!("[ ! -e /var/lib/deployvm/transactions/{id}/before ]");
    lab.hv(&format!(
        "until flock -n /var/lib/deployvm/transactions/{id}/alive true; do sleep 0.05; done
        {unbegun}"
    ))
    .expect(0);
    let looks = lab.laptop(&["deployvm", "status", "-H", HYPERVISOR, "--no-eval"]).expect(0);
    assert!(!looks.said().contains("interrupted"), "{looks}");
    lab.hv(&unbegun).expect(0);
    lab.hv("touch /run/go").expect(0);
    push.wait(200).expect(0);
    lab.answers("vm2", "vm2 version 2");
    lab.tidy();
}

/// Longer than anybody would try to connect anew.
#[test]
fn a_guest_takes_its_time_after_the_line_was_down() {
    let lab = Lab::up(&["--vms", "1"]);
    // More than twice its deadlines and a minute.
    lab.edit_vm("vm1", "ssh = false; stopSeconds = 132;");
    lab.push(&[]).expect(0);
    let before = lab.transactions();
    lab.edit_vm("vm1", r#"version = "2";"#);
    let short = [
        ("DEPLOYVM_DEFAULTS__BOOT", "30"),
        ("DEPLOYVM_DEFAULTS__WITHIN", "2"),
        ("DEPLOYVM_DEFAULTS__VERDICT", "2"),
        ("DEPLOYVM_DEFAULTS__SETTLE", "1"),
    ];
    let push = lab.pushing(&["vm1"], &short);
    lab.reaches(&before, "stopping");
    assert!(lab.kill_on_laptop("ssh") > 0, "a line that can be lost");
    push.wait(300).expect(0);
    lab.answers("vm1", "vm1 version 2");
}
