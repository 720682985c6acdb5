//! Tests of the parser in `observation.rs`.

use super::*;
use proptest::prelude::*;

const OLD: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-microvm-qemu-vm1";
const NEW: &str = "/nix/store/1123456789abcdfghijklmnpqrsvwxyz-microvm-qemu-vm1";
const KERNEL: &str = "/nix/store/2123456789abcdfghijklmnpqrsvwxyz-linux-6.6";

fn fields(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().flat_map(|(k, v)| [(*k).to_owned(), (*v).to_owned()]).collect()
}

fn look(record: &str) -> Observed {
    let units =
        "Id=microvm@vm1.service\nActiveState=active\nSubState=running\nMainPID=42\nInvocationID=abc\n";
    let cmdline = format!("qemu\n-m\n96\n-kernel\n{KERNEL}/bzImage");
    let run = format!("exec qemu -m 96 -kernel {KERNEL}/bzImage");
    let other = format!("exec qemu -m 128 -kernel {KERNEL}/bzImage");
    parse(&fields(&[
        ("host", "hv"),
        ("machine", "x86_64"),
        ("uid", "0"),
        ("store_free", "1000"),
        ("uptime", "100.0"),
        ("bridge", "br0"),
        ("device", "tap1 br0"),
        ("device", "lo "),
        ("autostart", "microvm@vm1.service"),
        ("units", units),
        ("odd", "a b"),
        ("vm", "vm1"),
        ("current", NEW),
        ("booted", OLD),
        ("mode", "imperative"),
        ("generation", &format!("2 20 {NEW}")),
        ("generation", &format!("1 10 {OLD}")),
        ("profile", "vm1-2-link"),
        ("process", "42 777"),
        ("cmdline", &cmdline),
        ("record", record),
        ("run_current", &other),
        ("run_booted", &run),
        ("invalid", OLD),
        ("transaction", "20-vm1 no vm1"),
        ("ledger", "{\"id\":\"a\",\"vm\":\"vm1\",\"future\":1}\n{\"id\":\"b\",\"vm"),
    ]))
}

#[test]
fn one_look_has_everything() {
    let observed = look("");
    let vm1 = &observed.vms[&"vm1".parse().unwrap()];
    assert_eq!(observed.host.system, "x86_64-linux");
    assert_eq!(observed.host.devices["tap1"].as_deref(), Some("br0"));
    assert_eq!(observed.host.devices["lo"], None);
    assert_eq!(vm1.generations.iter().map(|g| g.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((vm1.generation, vm1.autostart, vm1.mem), (Some(2), true, Some(96)));
    assert!(vm1.current_valid && !vm1.booted_valid);
    assert_eq!(observed.ledger.len(), 1, "a torn line is passed over");
    assert!(!observed.open[0].alive);
    assert_eq!(observed.odd_names, ["a b"]);
}

#[test]
fn the_process_is_matched_by_memory_and_paths() {
    assert_eq!(look("").vms[&"vm1".parse().unwrap()].running.as_ref().unwrap().as_str(), OLD);
}

#[test]
fn a_record_counts_only_while_everything_matches() {
    let running = |record: &str| look(record).vms[&"vm1".parse().unwrap()].running.clone().unwrap();
    assert_eq!(running(&format!("{NEW} 42 abc 777")).as_str(), NEW);
    assert_eq!(running(&format!("{NEW} 42 abc 778")).as_str(), OLD);
    assert_eq!(running(&format!("{NEW} 43 abc 777")).as_str(), OLD);
    assert_eq!(running(&format!("{NEW} 42 xyz 777")).as_str(), OLD);
}

#[test]
fn what_is_said_of_an_impossible_name_is_not_believed_of_its_neighbour() {
    let long = "x".repeat(65);
    for odd in ["vm1-2-link", "-x", long.as_str()] {
        let generation = format!("9 90 {NEW}");
        let observed = parse(&fields(&[
            ("vm", "vm1"),
            ("current", OLD),
            ("vm", odd),
            ("locked", "nobody"),
            ("pin", "9"),
            ("generation", &generation),
            ("linked", "vm2"),
            ("linked", "a b"),
            ("invalid", ""),
            ("host", "hv"),
        ]));
        let vm1 = &observed.vms[&"vm1".parse().unwrap()];
        assert_eq!((&vm1.locked, vm1.pins.len(), vm1.generations.len()), (&None, 0, 0), "{odd}");
        assert_eq!((observed.odd_names, observed.host.name.as_str()), (vec![odd.to_owned()], "hv"));
        assert_eq!(observed.linked.len(), 1);
    }
}

#[test]
fn a_number_is_told_of_one_generation_only() {
    let told = [format!("1 20 {OLD}"), format!("1 10 {NEW}"), format!("2 5 {OLD}")];
    let values = told.iter().map(|line| ("generation", line.as_str())).chain([("pin", "2"), ("pin", "2")]);
    let observed = parse(&fields(&[("vm", "vm1")].into_iter().chain(values).collect::<Vec<_>>()));
    let vm1 = &observed.vms[&"vm1".parse().unwrap()];
    assert_eq!(vm1.generations, [(1, NEW.parse().unwrap()), (2, OLD.parse().unwrap())]);
    assert_eq!((&vm1.generation_times[..], &vm1.pins[..]), (&[10, 5][..], &[2][..]));
}

#[test]
fn bombs_in_the_ledger_are_lines_without_sense() {
    let deep = format!(r#"{{"id":"a","vm":"vm1","x":{}}}"#, "[".repeat(500_000));
    let nested = format!(r#"{{"id":"a","vm":"vm1","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let digits = format!(r#"{{"id":"a","vm":"vm1","generation":{}}}"#, "9".repeat(1000));
    let exponent = r#"{"id":"a","vm":"vm1","durations":{"total":1e999999999}}"#.to_owned();
    let console = format!(r#"{{"id":"a","vm":"vm1","console_base64":"{}"}}"#, "QUFB".repeat(100_000));
    let good = r#"{"id":"b","vm":"vm1","result":"deployed"}"#.to_owned();
    let entries = parse_ledger(&[deep, nested, digits, exponent, console, good].join("\n"));
    // What nobody reads may be as deep as it likes.
    assert_eq!(entries.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["a", "a", "b"]);
    assert!(entries[1].console[0].len() <= 400);
}

proptest! {
    #[test]
    fn never_panics(fields in proptest::collection::vec("(vm|current|cmdline|closure|generation|(?s:.){0,30})", 0..20)) {
        let _ = parse(&fields);
    }
}

#[test]
fn ends_that_nobody_has_heard_of() {
    let outcome = "rolled-back\n30\n\nundo.no-verdict\n1800\nclean\n";
    let observed = parse(&fields(&[
        ("transaction", "id3 yes vm1"),
        ("ended", &format!("id2\nvm2\nme@laptop since 2026: push vm2\n{outcome}")),
        ("ended", "id1\nvm2\n\ndeployed\n0\n4\ncommit.laptop\n\n\n"),
        // Never begun, torn, and nothing at all.
        ("ended", &format!("id4\n\n\n{outcome}")),
        ("ended", "id5\nvm2\nme"),
        ("ended", ""),
    ]));
    let said: Vec<String> = observed
        .unheard
        .iter()
        .map(|u| format!("{} {} {:?} {} {} {:?}", u.id, u.vm, u.holder, u.result, u.exit, u.reason))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    id1 vm2 "" deployed 0 ""
    id2 vm2 "me@laptop since 2026: push vm2" rolled-back 30 "no-verdict"
    "#);
    assert_eq!(observed.open.len(), 1);
}
