//! What the reporter's tests speak about: one plan, one mixed result, one status.

use deployvm::model::check::{Check, CheckResult, Expect, From, Probe};
use deployvm::model::closure::{ClosureDiff, PackageChange};
use deployvm::model::generation::Generation;
use deployvm::model::ledger::Entry;
use deployvm::model::name::VmName;
use deployvm::model::observed::Mode;
use deployvm::model::outcome::{Outcome, Word};
use deployvm::model::plan::{How, Move, Plan};
use deployvm::model::settings::{Deadlines, Guest};
use deployvm::model::status::{Runners, State, Status};
use deployvm::model::store_path::StorePath;

pub fn vm(name: &str) -> VmName {
    name.parse().unwrap()
}

/// A runner whose hash is eight characters, four times.
pub fn runner(hash: &str, vm: &str) -> StorePath {
    format!("/nix/store/{}-microvm-qemu-{vm}", hash.repeat(4)).parse().unwrap()
}

fn package(name: &str, before: &[&str], after: &[&str], bytes: i64) -> PackageChange {
    let owned = |versions: &[&str]| versions.iter().map(|v| (*v).to_owned()).collect();
    PackageChange { name: name.to_owned(), before: owned(before), after: owned(after), bytes }
}

pub fn diff() -> ClosureDiff {
    let units = ["etc", "nixos-system-vm1", "system-units", "unit-nginx.service", "unit-web.service"];
    ClosureDiff {
        added: vec![package("jq", &[], &["1.7.1"], 1_258_291)],
        removed: vec![package("sqlite", &["3.45"], &[], -921_600)],
        changed: vec![
            package("linux", &["6.6.1"], &["6.6.2"], 0),
            package("openssl", &["1.1.1w", "3.0.20"], &["3.0.21"], -12_288),
            package(
                "python3.11-a-package-with-a-very-long-name",
                &["1.0", "2.0"],
                &["3.0", "4.0", "5.0"],
                40,
            ),
        ],
        rebuilt: units.iter().map(|unit| package(unit, &[""], &[""], 8)).collect(),
        bytes_before: 500 << 20,
        bytes_after: 501 << 20,
    }
}

pub fn a_move(name: &str, how: How) -> Move {
    let check = Check {
        name: "ping".to_owned(),
        from: From::Hypervisor,
        probe: Probe::Ping { host: "10.1.0.2".to_owned() },
        expect: Expect::Ok,
        within: 30,
        strict: false,
        derived: true,
        excusable: false,
    };
    Move {
        vm: vm(name),
        how,
        from: Some(runner("0123abcd", name)),
        current: None,
        to: runner("4567wxyz", name),
        diff: None,
        bytes_to_send: None,
        checks: vec![check],
        address: None,
        taps: Vec::new(),
        routed: Vec::new(),
        guest: Guest::default(),
        vsock: None,
        running: true,
        deadlines: Deadlines::default(),
        adopt: Vec::new(),
        notes: Vec::new(),
        flake: None,
        made_of: None,
        terms: None,
        system: None,
    }
}

pub fn plan() -> Plan {
    let mut restart = a_move("vm1", How::Restart);
    restart.diff = Some(diff());
    restart.bytes_to_send = Some(14 << 20);
    restart.adopt = vec![("booted".to_owned(), runner("0123abcd", "vm1"))];
    restart.notes =
        vec!["its flake file names a checkout that is not there: `microvm -u vm1` cannot work".to_owned()];
    let mut stage = a_move("vm2", How::Stage);
    stage.bytes_to_send = Some(0);
    stage.notes = vec!["the next start, or crash, of this VM boots this generation".to_owned()];
    let mut install = a_move("vm3", How::Install);
    install.from = None;
    install.bytes_to_send = Some(300 << 20);
    let why = "its runner is set by the hypervisor's own configuration at every boot; deploy that with `deployvm host push`";
    let refuse = a_move("database", How::Refuse(why.to_owned()));
    Plan {
        impossible: Vec::new(),
        hypervisor: "root@hv.example".to_owned(),
        moves: vec![restart, stage, install, a_move("vm4", How::Keep), refuse],
        broken: Vec::new(),
        effects: None,
        warnings: vec!["3.1 GiB are free where the store is".to_owned()],
    }
}

pub fn check(name: &str, ok: bool, note: Option<&str>) -> CheckResult {
    CheckResult {
        name: name.to_owned(),
        from: From::Hypervisor,
        ok,
        millis: Some(if ok { 12 } else { 30_000 }),
        note: note.map(str::to_owned),
        definition: Some("{}".to_owned()),
    }
}

/// Deployed, unchanged, rolled back with console, skipped, refused.
pub fn outcomes() -> Vec<Outcome> {
    let deployed = Outcome {
        from: Some(runner("0123abcd", "vm1")),
        to: Some(runner("4567wxyz", "vm1")),
        generation: Some(4),
        checks: vec![check("ping", true, None), check("ssh", false, Some("failing-before"))],
        downtime: Some(1_800),
        shutdown: Some("clean".to_owned()),
        ..Outcome::new(vm("vm1"), Word::Deployed, 0)
    };
    let console =
        ["\u{1b}[0;1;31m[FAILED]\u{1b}[0m Failed to start nginx.service.", "reboot: Power down\u{7}"];
    let rolled_back = Outcome {
        from: Some(runner("0123abcd", "vm2")),
        to: Some(runner("4567wxyz", "vm2")),
        generation: Some(3),
        reason: Some("check-failed".to_owned()),
        checks: vec![check("ping", true, None), check("web", false, Some("HTTP 500"))],
        downtime: Some(9_200),
        shutdown: Some("killed".to_owned()),
        console: console.iter().map(|line| (*line).to_owned()).collect(),
        transaction: Some("20261120-1".to_owned()),
        ..Outcome::new(vm("vm2"), Word::RolledBack, 31)
    };
    let refused = Outcome {
        reason: Some("locked".to_owned()),
        detail: Some("locked by alice@laptop since 18:39 for a push".to_owned()),
        ..Outcome::new(vm("database"), Word::Refused, 12)
    };
    vec![
        deployed,
        Outcome::new(vm("vm3"), Word::Unchanged, 0),
        rolled_back,
        Outcome::new(vm("vm4"), Word::Skipped, 13),
        refused,
    ]
}

fn running(name: &str, state: State) -> Status {
    let path = runner("0123abcd", name);
    let mut row = Status::new(vm(name), "main", state);
    row.generation = Some(3);
    row.runner = Runners {
        desired: Some(path.clone()),
        staged: Some(path.clone()),
        booted: Some(path.clone()),
        running: Some(path),
    };
    row.unit.active = Some("active".to_owned());
    row.unit.sub = Some("running".to_owned());
    row.unit.main_pid = Some(4242);
    row.unit.restarts = Some(0);
    row.unit.age = Some(90_000);
    row.revision = Some("0123456789abcdef0123456789abcdef01234567".to_owned());
    row.dirty = Some(false);
    row.mode = Some(Mode::Imperative);
    row.autostart = Some(true);
    row
}

pub fn rows() -> Vec<Status> {
    let mut stale = running("vm2", State::Stale);
    stale.runner.staged = Some(runner("4567wxyz", "vm2"));
    stale.runner.desired = stale.runner.staged.clone();
    stale.unit.restarts = Some(4);
    stale.dirty = Some(true);
    let mut outdated = running("vm3", State::Outdated);
    outdated.runner.desired = Some(runner("9876zyxw", "vm3"));
    outdated.mode = Some(Mode::HostOwned);
    let absent = Status::new(vm("database"), "main", State::Absent);
    vec![running("vm1", State::Current), stale, outdated, absent]
}

pub fn generations() -> Vec<Generation> {
    let generation = |number, hash: &str| Generation {
        number,
        time: Some("2026-11-20T18:39:01Z".to_owned()),
        path: runner(hash, "vm1"),
        revision: None,
        dirty: None,
        who: None,
        bytes: Some(500 << 20),
        current: false,
        booted: false,
        verified: true,
        pinned: false,
    };
    let newest = Generation {
        revision: Some("0123456789abcdef".to_owned()),
        dirty: Some(true),
        who: Some("alice@laptop".to_owned()),
        current: true,
        booted: true,
        ..generation(10, "4567wxyz")
    };
    vec![generation(9, "0123abcd"), newest]
}

pub fn entries() -> Vec<Entry> {
    let old = Entry { console: vec!["\u{1b}[1mpanic".to_owned()], ..entry("vm1") };
    let mut new = Entry { checks: vec![check("ping", true, None)], ..entry("vm2") };
    new.time = Some("2026-11-20T18:39:01Z".to_owned());
    new.verb = Some("push".to_owned());
    new.result = Some("rolled-back".to_owned());
    new.reason = Some("check-failed".to_owned());
    new.durations.insert("downtime".to_owned(), 9_200);
    vec![old, new]
}

/// As they are in a real ledger: every column has something.
pub fn full_entries() -> Vec<Entry> {
    let line = |vm: &str, verb: &str, result: &str, reason: &str| Entry {
        time: Some("2026-11-28T18:39:01Z".to_owned()),
        who: Some("alice@laptop".to_owned()),
        verb: Some(verb.to_owned()),
        generation: (result == "deployed").then_some(12),
        revision: Some("0123456789abcdef".to_owned()),
        dirty: Some(true),
        result: Some(result.to_owned()),
        reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        durations: [("downtime".to_owned(), 125_000)].into(),
        ..entry(vm)
    };
    vec![
        line("vm1", "push", "deployed", ""),
        line("database", "push", "rolled-back", "check-failed"),
        line("database", "rollback", "rolled-back", "laptop-check-failed"),
    ]
}

fn entry(vm: &str) -> Entry {
    serde_json::from_value(serde_json::json!({ "id": "x1", "vm": vm })).unwrap()
}
