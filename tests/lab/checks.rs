//! Declared checks: every kind from every place, what a refusal is, the excuse of what
//! failed before, and what is refused because it cannot run.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Lab, Pushed};

/// `name@place` and how it ended, in the order of the summary.
fn results(pushed: &Pushed, vm: &str) -> Vec<(String, String)> {
    let all = pushed.vm(vm)["checks"].as_array().unwrap().clone();
    all.iter().map(|check| (name(check), end(check))).collect()
}

fn name(check: &Value) -> String {
    format!("{}@{}", check["name"].as_str().unwrap(), check["from"].as_str().unwrap())
}

fn end(check: &Value) -> String {
    match check["ok"].as_bool().unwrap() {
        true => "ok".to_owned(),
        false => check["note"].as_str().unwrap().to_owned(),
    }
}

/// Panics unless these checks ended so.
#[track_caller]
fn ended(pushed: &Pushed, vm: &str, wanted: &[(&str, &str)]) {
    let found = results(pushed, vm);
    for (check, end) in wanted {
        let same = found.iter().any(|(name, found)| name == check && found == end);
        assert!(same, "{check} is not {end}: {found:?}\n{}", pushed.0);
    }
}

/// Declares checks, each a name and what its table says, and gives the VM a new version.
fn declare(lab: &Lab, vm: &str, version: &str, checks: &[(&str, &str)]) {
    let tables: String =
        checks.iter().map(|(name, says)| format!("[vms.{vm}.checks.{name}]\n{says}\n")).collect();
    lab.write("deployvm.toml", &tables);
    lab.edit_vm(vm, &format!("version = \"{version}\";"));
}

#[test]
fn every_kind_from_every_place() {
    let lab = Lab::deployed(&[]);
    let checks = [
        ("web", "http = \"http://10.1.0.2/\"\nstatus = 200\nbody = \"version [0-9]+$\""),
        ("port", "tcp = \"10.1.0.2:80\""),
        ("echo", "ping = \"10.1.0.1\""),
        ("name", "dns = \"10.1.0.2\""),
        ("program", "exec = [\"test\", \"a b\", \"=\", \"a b\"]"),
        ("shut", "tcp = \"10.1.0.2:81\"\nexpect = \"refused\""),
    ];
    let everywhere = "from = [\"hypervisor\", \"laptop\", \"vm\"]";
    let mut all: Vec<(&str, String)> =
        checks.iter().map(|(name, says)| (*name, format!("{says}\n{everywhere}"))).collect();
    // The networks of the VMs are closed to each other.
    for (name, probe) in [
        ("jail-port", "tcp = \"10.2.0.2:80\""),
        ("jail-web", "http = \"http://10.2.0.2/\""),
        ("jail-echo", "ping = \"10.2.0.2\""),
    ] {
        all.push((name, format!("{probe}\nfrom = [\"vm\"]\nexpect = \"refused\"")));
    }
    let all: Vec<(&str, &str)> = all.iter().map(|(name, says)| (*name, says.as_str())).collect();
    declare(&lab, "vm1", "2", &all);
    let pushed = lab.push_with(&["vm1"], &[("DEPLOYVM_DEFAULTS__WITHIN", "40")]).expect(0);
    let found = results(&pushed, "vm1");
    // ping and ssh are derived.
    assert_eq!(found.len(), 2 + 6 * 3 + 3, "{found:?}");
    assert!(found.iter().all(|(_, end)| end == "ok"), "{found:?}");

    // What must be refused was asked after all else, wherever it ran, and three times.
    let order: Vec<Value> = pushed.events("checked").iter().map(|event| event["check"].clone()).collect();
    let refusal = |check: &Value| ["shut", "jail"].iter().any(|n| name(check).starts_with(n));
    let first = order.iter().position(refusal).unwrap();
    assert!(order[first..].iter().all(refusal), "{order:?}");
    assert!(order[first..].iter().all(|check| check["millis"].as_u64().unwrap() >= 3000), "{order:?}");

    // A later push knows them again.
    let entry = lab.last_entry("vm1");
    let written = entry["checks"].as_array().unwrap();
    assert_eq!(written.len(), found.len(), "{entry}");
    assert!(written.iter().all(|check| !check["definition"].as_str().unwrap().is_empty()), "{entry}");
    lab.tidy();
}

#[test]
fn what_a_check_met() {
    let lab = Lab::deployed(&[]);
    // The first that fails on the hypervisor is the last one there.
    for (version, says, met) in [
        ("2", "http = \"http://10.2.0.2/\"\nstatus = 404", "wrong-status-200"),
        ("3", "http = \"http://10.2.0.2/\"\nbody = \"nothing\"", "wrong-body"),
        ("4", "tcp = \"10.2.0.2:80\"\nexpect = \"refused\"", "answered"),
        ("5", "ping = \"nobody.invalid\"\nexpect = \"refused\"", "unresolved"),
    ] {
        // The web server comes a while after the guest's first answer: what is refused is
        // asked when the other check has met it.
        let it = format!("{says}\nwithin = 8");
        declare(&lab, "vm2", version, &[("it", &it), ("up", "http = \"http://10.2.0.2/\"")]);
        let pushed = lab.push(&["vm2"]).expect(31);
        pushed.vm_is("vm2", "rolled-back", 31);
        ended(&pushed, "vm2", &[("it@hypervisor", met)]);
        lab.answers("vm2", "vm2 version 1");
    }

    // Elsewhere they run at once. The guest's sshd takes its time on a busy machine.
    let there = "from = [\"laptop\", \"vm\"]\nwithin = 40";
    let fails = [
        ("status", format!("http = \"http://10.1.0.2/\"\nstatus = 404\n{there}")),
        ("port", format!("tcp = \"10.1.0.2:81\"\n{there}")),
        ("echo", format!("ping = \"10.1.0.99\"\n{there}")),
        ("program", format!("exec = [\"false\"]\n{there}")),
        // Never tried: not all else passes.
        ("shut", format!("tcp = \"10.1.0.2:81\"\nexpect = \"refused\"\n{there}")),
    ];
    let fails: Vec<(&str, &str)> = fails.iter().map(|(name, says)| (*name, says.as_str())).collect();
    declare(&lab, "vm1", "2", &fails);
    let pushed = lab.push(&["vm1"]).expect(31);
    for place in ["laptop", "vm"] {
        for (check, met) in [
            ("status", "wrong-status-200"),
            ("port", "refused"),
            ("echo", "timeout"),
            ("program", "nonzero-1"),
        ] {
            ended(&pushed, "vm1", &[(&format!("{check}@{place}"), met)]);
        }
    }
    assert!(!results(&pushed, "vm1").iter().any(|(name, _)| name.starts_with("shut")), "{}", pushed.0);

    // A refusal is one only when the question was asked, and nobody answered.
    let there = "from = [\"laptop\", \"vm\"]\nexpect = \"refused\"";
    let open = [
        ("web", format!("http = \"http://10.1.0.2/\"\n{there}")),
        ("port", format!("tcp = \"10.1.0.2:80\"\n{there}")),
        ("echo", format!("ping = \"10.1.0.2\"\n{there}")),
        ("unknown", format!("ping = \"nobody.invalid\"\n{there}")),
        ("shut", format!("tcp = \"10.1.0.2:81\"\n{there}")),
    ];
    let open: Vec<(&str, &str)> = open.iter().map(|(name, says)| (*name, says.as_str())).collect();
    declare(&lab, "vm1", "3", &open);
    let pushed = lab.push(&["vm1"]).expect(31);
    for place in ["laptop", "vm"] {
        for (check, met) in [
            ("web", "answered"),
            ("port", "answered"),
            ("echo", "answered"),
            ("unknown", "unresolved"),
            ("shut", "ok"),
        ] {
            ended(&pushed, "vm1", &[(&format!("{check}@{place}"), met)]);
        }
    }
    lab.answers("vm1", "vm1 version 1");
    let entry = lab.last_entry("vm1");
    assert!(entry["checks"].to_string().contains("\"unresolved\""), "{entry}");
    lab.tidy();
}

/// Where the two places look for a file, and how it comes and goes.
fn flag(lab: &Lab, place: &str, there: bool) -> String {
    if place == "hypervisor" {
        lab.hv(if there { "touch /var/tmp/flag" } else { "rm -f /var/tmp/flag" }).expect(0);
        return "/var/tmp/flag".to_owned();
    }
    let path = lab.dir.join("flag");
    match there {
        true => std::fs::write(&path, "").unwrap(),
        // It may be gone already.
        false => drop(std::fs::remove_file(&path)),
    }
    path.display().to_string()
}

#[test]
fn what_failed_before_is_excused_and_nothing_else() {
    let lab = Lab::deployed(&[]);
    for place in ["hypervisor", "laptop"] {
        let file = flag(&lab, place, true);
        let says = |test: &str| {
            format!("exec = [\"test\", \"{test}\", \"{file}\"]\nfrom = [\"{place}\"]\nwithin = 1")
        };
        let it = format!("it@{place}");
        let version = |n: u32| format!("{n}-{place}");
        let expect = |n: u32, checks: &[(&str, &str)], args: &[&str], code: i32| {
            declare(&lab, "vm2", &version(n), checks);
            lab.push(&[&["vm2"], args].concat()).expect(code)
        };
        // Deployed with it, while it passed.
        expect(1, &[("it", &says("-e"))], &[], 0);
        flag(&lab, place, false);
        // It fails already: once, and once more, now that it was deployed failing.
        for n in [2, 3] {
            let pushed = expect(n, &[("it", &says("-e"))], &[], 0);
            ended(&pushed, "vm2", &[(&it, "failing-before")]);
            lab.answers("vm2", &format!("vm2 version {}", version(n)));
        }
        // Another definition, a strict one, a new one beside it.
        let strict = format!("{}\nstrict = true", says("-e"));
        for (n, checks) in [
            (4, vec![("it", says("-f"))]),
            (5, vec![("it", strict)]),
            (6, vec![("it", says("-e")), ("new", says("-d"))]),
        ] {
            let checks: Vec<(&str, &str)> =
                checks.iter().map(|(name, says)| (*name, says.as_str())).collect();
            let pushed = expect(n, &checks, &[], 31);
            let failed = if n == 6 { format!("new@{place}") } else { it.clone() };
            ended(&pushed, "vm2", &[(&failed, "nonzero-1")]);
            lab.answers("vm2", &format!("vm2 version {}", version(3)));
        }
        // A VM that does not run has no excuse, and stays stopped.
        lab.hv("systemctl stop microvm@vm2").expect(0);
        let pushed = expect(7, &[("it", &says("-e"))], &["--start"], 31);
        ended(&pushed, "vm2", &[(&it, "nonzero-1")]);
        assert_eq!(lab.vm("vm2").pid, 0);
        lab.hv("systemctl start microvm@vm2").expect(0);
        lab.answers("vm2", &format!("vm2 version {}", version(3)));
        lab.tidy();
    }
}

#[test]
fn what_failed_for_a_moment_before_is_no_excuse() {
    let lab = Lab::deployed(&[]);
    for place in ["hypervisor", "laptop"] {
        let file = flag(&lab, place, false);
        // Fails when it is asked for the first time, and then wherever the old one does not run.
        let fails = format!("if ! [ -e {file} ]; then touch {file}; exit 1; fi");
        let asks = format!("curl -s http://10.2.0.2/ | grep -q 'version good-{place}'");
        let says = format!("exec = [\"sh\", \"-c\", \"{fails}; {asks}\"]\nfrom = [\"{place}\"]\nwithin = 10");
        declare(&lab, "vm2", &format!("good-{place}"), &[("it", &says)]);
        lab.push(&["vm2"]).expect(0);
        flag(&lab, place, false);
        lab.edit_vm("vm2", "version = \"bad\";");
        let pushed = lab.push(&["vm2"]).expect(31);
        pushed.vm_is("vm2", "rolled-back", 31);
        ended(&pushed, "vm2", &[(&format!("it@{place}"), "nonzero-1")]);
        lab.answers("vm2", &format!("vm2 version good-{place}"));
        lab.tidy();
    }
}

#[test]
fn an_undo_is_good_when_what_passed_before_passes_again() {
    let lab = Lab::deployed(&[]);
    for place in ["hypervisor", "laptop"] {
        let file = flag(&lab, place, true);
        let it = format!("exec = [\"test\", \"-e\", \"{file}\"]\nfrom = [\"{place}\"]\nwithin = 1");
        declare(&lab, "vm2", &format!("1-{place}"), &[("it", &it)]);
        lab.push(&["vm2"]).expect(0);
        // The first question finds the file, all later ones do not.
        let once = format!("exec = [\"rm\", \"{file}\"]\nfrom = [\"{place}\"]\nwithin = 1");
        declare(&lab, "vm2", &format!("2-{place}"), &[("once", &once)]);
        let pushed = lab.push_with(&["vm2"], &[("DEPLOYVM_DEFAULTS__BOOT", "30")]).expect(40);
        pushed.vm_is("vm2", "failed", 40);
        assert!(!Path::new(&file).exists());
        ended(&pushed, "vm2", &[(&format!("once@{place}"), "nonzero-1")]);
        // What ran before runs again all the same.
        lab.answers("vm2", &format!("vm2 version 1-{place}"));
        lab.hv("systemctl is-active microvm@vm2").expect(0);
    }
}

#[test]
fn what_cannot_run_is_refused_before_anything_is_touched() {
    let lab = Lab::deployed(&[]);
    let before = (lab.vm("vm1"), lab.vm("vm2"), lab.transactions().len());
    let inside = "ping = \"10.1.0.1\"\nfrom = [\"vm\"]";
    lab.edit_vm("vm1", "version = \"2\";");
    lab.edit_vm("vm2", "version = \"2\";");
    let hosts = lab.dir.join("home/.ssh/known_hosts");
    let known = std::fs::read_to_string(&hosts).unwrap();
    let hypervisor_alone = known.lines().next().unwrap();

    let refused = |vm: &str, toml: &str, words: &[&str]| {
        lab.write("deployvm.toml", toml);
        let said = lab.push(&[vm]);
        assert_eq!(said.0.code, 2, "{toml}\n{}", said.0);
        let error = said.events("error")[0].to_string();
        for word in words {
            assert!(error.contains(word), "{word:?} is not in {error}");
        }
        assert_eq!((lab.vm("vm1"), lab.vm("vm2"), lab.transactions().len()), before, "{toml}");
    };
    let check = |vm: &str, says: &str| format!("[vms.{vm}.checks.it]\n{says}\n");
    refused("vm2", &check("vm2", inside), &["it", "vm2", "no sshd"]);
    for place in ["hypervisor", "laptop", "vm"] {
        let says = format!("exec = [\"no-such-program\"]\nfrom = [\"{place}\"]");
        refused("vm1", &check("vm1", &says), &["it", "vm1", "has no no-such-program"]);
    }
    let guest = |says: &str| format!("[vms.vm1.guest]\n{says}\n{}", check("vm1", inside));
    refused("vm1", &guest("user = \"nobody\""), &["does not accept your key", "guest.user"]);
    refused("vm1", &guest("port = 2222"), &["refuses the connection"]);
    refused("vm1", &guest("via = \"vsock\""), &["no vsock CID"]);
    std::fs::write(&hosts, format!("{hypervisor_alone}\n")).unwrap();
    refused("vm1", &check("vm1", inside), &["host key is not known", "10.1.0.2"]);
    std::fs::write(&hosts, &known).unwrap();
    lab.hv("mv /usr/bin/curl /usr/bin/curl.away").expect(0);
    refused("vm2", &check("vm2", "http = \"http://10.2.0.2/\""), &["hypervisor", "has no curl"]);

    // Where nobody needs it, it is not missed. And the other way in works.
    lab.write("deployvm.toml", &guest("via = \"laptop\""));
    let pushed = lab.push_with(&["vm1"], &[("DEPLOYVM_DEFAULTS__WITHIN", "40")]).expect(0);
    ended(&pushed, "vm1", &[("it@vm", "ok")]);
    lab.answers("vm1", "vm1 version 2");
}
