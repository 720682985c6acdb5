//! What is there and what is wanted in, what a switch does and says out.

use super::*;
use crate::model::check::{Expect, From, Probe};
use crate::model::inventory::Wanted;
use crate::model::ledger::Entry;
use crate::model::observed::OpenTransaction;
use crate::model::system::FoundGeneration;

fn path(name: &str) -> StorePath {
    format!("/nix/store/x38mw7pb00krln22ws43jyj0bkdkag9l-{name}").parse().unwrap()
}

fn vm(name: &str) -> VmName {
    name.parse().unwrap()
}

fn found(active: &str, current: &str, mode: Mode) -> Found {
    let up = active == "active";
    let current = path(current).to_string();
    Found { booted: up.then(|| current.clone()), mode, ..Found::example(active, current) }
}

fn declared(runner: &str, toplevel: &str) -> Declared {
    let wanted = Wanted {
        toplevel: Some(path(toplevel)),
        ..Wanted::new(vm("x"), String::new(), path("x.drv"), path(runner))
    };
    Declared { owned: true, restart_if_changed: true, wanted: Some(wanted) }
}

fn wish(vms: &[(&str, Declared)], autostart: &[&str]) -> WantedSystem {
    WantedSystem {
        wanted: declared("new", "x").wanted.unwrap(),
        boot: Boot::default(),
        autostart: autostart.iter().map(|name| vm(name)).collect(),
        vms: vms.iter().map(|(name, declared)| (vm(name), declared.clone())).collect(),
    }
}

fn observed(vms: &[(&str, Found)]) -> Observed {
    let vms = vms.iter().map(|(name, found)| (vm(name), found.clone())).collect();
    Observed {
        vms,
        host: crate::model::observed::HostFacts {
            state_free: 1 << 40,
            store_free: 1 << 40,
            ..Default::default()
        },
        ..Observed::default()
    }
}

fn system() -> FoundSystem {
    let generation = |number, name: &str| FoundGeneration {
        number,
        time: 0,
        path: path(name),
        version: None,
        boot: Boot::default(),
    };
    FoundSystem {
        current: path("old").to_string(),
        default: Some(2),
        generations: vec![generation(1, "older"), generation(2, "old")],
        toplevels: [(vm("a"), path("a-top")), (vm("c"), path("c-top"))].into(),
        ..FoundSystem::default()
    }
}

#[test]
fn what_a_switch_does_to_each_vm() {
    let mut deployed = found("active", "d-1", Mode::HostOwned);
    deployed.generations = vec![(3, path("d-1"))];
    let keeps = Declared { restart_if_changed: false, ..declared("d-2", "d-top2") };
    let by_hand = Declared { owned: false, ..declared("f-2", "f-top2") };
    let wish = wish(
        &[
            ("a", declared("a-2", "a-top2")),
            ("b", declared("b-2", "b-top2")),
            ("c", declared("c-1", "c-top")),
            ("d", keeps),
            ("e", declared("e-1", "e-top")),
            ("f", by_hand),
            ("new", declared("new-1", "new-top")),
        ],
        &["a", "b", "f", "g", "new"],
    );
    let observed = observed(&[
        ("a", found("active", "a-1", Mode::HostOwned)),
        ("b", found("inactive", "b-1", Mode::HostOwned)),
        ("c", found("active", "c-1", Mode::HostOwned)),
        ("d", deployed),
        ("e", found("inactive", "e-1", Mode::HostOwned)),
        ("f", found("active", "f-1", Mode::UpdateFlake)),
        ("g", found("inactive", "g-1", Mode::Imperative)),
        ("h", found("active", "h-1", Mode::Imperative)),
    ]);
    let lines: Vec<String> = effects(&wish, &system(), &observed)
        .iter()
        .map(|e| {
            let name = |p: &Option<StorePath>| p.as_ref().map_or("-".to_owned(), |p| p.name().to_owned());
            format!("{} {} {} {} {}", e.vm, e.does, name(&e.from), name(&e.to), e.notes.join("; "))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    a restarted a-1 a-2 
    b started b-1 b-2 
    c untouched c-1 - 
    d staged d-1 d-2 generation 3, which is staged, is not the hypervisor's own: it puts its runner in its place; it goes on with what it runs; its next start, or crash, boots the new one
    e untouched e-1 - 
    f untouched f-1 - 
    g started g-1 - 
    h untouched h-1 - 
    new started - new-1 
    ");
}

#[test]
fn keeps_switches_or_refuses() {
    let aim = |to: &str| Aim {
        to: path(to),
        boot: Boot::default(),
        effects: Some(Vec::new()),
        checks: Vec::new(),
        deadlines: Deadlines::default(),
        note: None,
    };
    let how = |to: &str, system: &FoundSystem, observed: &Observed| {
        let plan = decide("hv", aim(to), system, observed, &BTreeMap::new());
        assert!(plan.moves[0].vm.is_host());
        plan.moves[0].how.clone()
    };
    let nobody = observed(&[]);
    assert_eq!(how("old", &system(), &nobody), How::Keep);
    assert_eq!(how("new", &system(), &nobody), How::Switch);
    // It runs, but the next boot starts another.
    let tested = FoundSystem { current: path("new").to_string(), ..system() };
    assert_eq!(how("new", &tested, &nobody), How::Switch);
    let mut busy = found("active", "a-1", Mode::Imperative);
    busy.locked = Some("me".to_owned());
    let busy = observed(&[("a", busy)]);
    assert_eq!(how("new", &system(), &busy), How::Refuse("a is locked by me".to_owned()));
    let open = OpenTransaction { id: "x".to_owned(), vm: HOST.to_owned(), alive: true };
    let open = Observed { open: vec![open], ..nobody };
    assert!(matches!(how("new", &system(), &open), How::Refuse(_)));
}

#[test]
fn what_failed_before_is_excused_where_it_is_not_new() {
    let check = |name: &str, host: &str| Check {
        name: name.to_owned(),
        from: From::Hypervisor,
        probe: Probe::Tcp { host: host.to_owned(), port: 80 },
        expect: Expect::Ok,
        within: 5,
        strict: false,
        derived: false,
        excusable: false,
    };
    let (old, new) = (check("old", "10.0.0.1"), check("new", "10.0.0.2"));
    let entry = |vm: &str, to: &str, check: &Check| -> Entry {
        let said = serde_json::json!({
            "name": check.name, "from": "hypervisor", "ok": true, "millis": 1, "definition": check.definition()
        });
        let line = serde_json::json!({
            "id": "x", "vm": vm, "to": path(to), "result": "deployed", "checks": [said]
        });
        serde_json::from_value(line).unwrap()
    };
    let strict = Check { strict: true, ..old.clone() };
    let mut there = observed(&[
        ("a", found("active", "a-1", Mode::HostOwned)),
        ("b", found("inactive", "b-1", Mode::HostOwned)),
    ]);
    let excused = |there: &Observed, name: &str| -> Vec<bool> {
        let effect = Effect { vm: vm(name), does: Does::Restarts, from: None, to: None, notes: Vec::new() };
        let checks = vec![old.clone(), new.clone(), strict.clone()];
        with_excuses(checks, &effect, there).iter().map(|check| check.excusable).collect()
    };
    assert_eq!(excused(&there, "a"), [false, false, false]);
    // By an earlier switch of the hypervisor, or by what the VM itself was deployed with.
    for entry in [entry(HOST, "old", &old), entry("a", "a-1", &old)] {
        there.ledger = vec![entry];
        assert_eq!(excused(&there, "a"), [true, false, false]);
    }
    // What does not run has no excuse.
    there.ledger = vec![entry(HOST, "old", &old)];
    assert_eq!(excused(&there, "b"), [false, false, false]);
    there.ledger[0].result = Some("rolled-back".to_owned());
    assert_eq!(excused(&there, "a"), [false, false, false]);
}

#[test]
fn only_what_is_known_to_differ_needs_a_reboot() {
    let boot = |kernel: &str, params: &str| Boot {
        kernel: Some(path(kernel)),
        params: Some(params.to_owned()),
        ..Boot::default()
    };
    assert_eq!(reboot(&boot("a", "x"), &boot("a", "x")), None);
    assert_eq!(reboot(&Boot::default(), &boot("a", "x")), None);
    insta::assert_snapshot!(
        reboot(&boot("b", "y"), &boot("a", "x")).unwrap(),
        @"a reboot is needed for the kernel and its parameters to change; that is left to you"
    );
}

#[test]
fn surprises_are_told() {
    let before = observed(&[
        ("a", found("active", "a-1", Mode::HostOwned)),
        ("b", found("active", "b-1", Mode::Imperative)),
        ("c", found("inactive", "c-1", Mode::Imperative)),
        ("d", found("active", "d-1", Mode::Imperative)),
    ]);
    let mut after = before.clone();
    for name in ["a", "b"] {
        after.vms.get_mut(&vm(name)).unwrap().unit.main_pid = Some(77);
    }
    after.vms.insert(vm("c"), found("active", "c-1", Mode::Imperative));
    after.vms.insert(vm("d"), found("inactive", "d-1", Mode::Imperative));
    let effect = |name: &str, does| Effect { vm: vm(name), does, from: None, to: None, notes: Vec::new() };
    let effects = [effect("a", Does::Restarts), effect("c", Does::Nothing)];
    insta::assert_snapshot!(changes(&before, &after, &effects).join("\n"), @r"
    a was restarted
    b was restarted, which was not planned
    c was started, which was not planned
    d does not run any more
    ");
}
