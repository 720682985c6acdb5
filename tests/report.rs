//! What users read, as they read it: fixtures in, inline snapshots out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "report/differences.rs"]
mod differences;
#[path = "report/fixtures.rs"]
mod fixtures;
#[path = "report/markdown.rs"]
mod markdown;
#[path = "report/next.rs"]
mod next;
#[path = "report/past.rs"]
mod past;

use deployvm::error::{Aftermath, Failure};
use deployvm::model::event::Event;
use deployvm::model::outcome::exit_code;
use deployvm::model::plan::{How, Plan};
use deployvm::report::page::Page;
use deployvm::report::{self, json};
use fixtures::{a_move, check, entries, outcomes, plan, rows, vm};

const NARROW: Page = Page { width: Some(80), colour: false };
const WIDE: Page = Page { width: Some(120), colour: false };
const COLOURED: Page = Page { width: Some(80), colour: true };

/// Colours as `‹32›`, so that a snapshot can be read.
fn visible(text: &str) -> String {
    let mut visible = String::new();
    let mut parts = text.split("\u{1b}[");
    visible.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (codes, rest) = part.split_once('m').unwrap();
        visible.push_str(&format!("‹{codes}›{rest}"));
    }
    visible
}

#[test]
fn a_plan_at_80_columns() {
    insta::assert_snapshot!(report::plan::text(&plan(), NARROW), @"
    plan for root@hv.example: 1 to restart, 1 to install, 1 to stage, 1 unchanged, 1
    refused

    vm1       restart  microvm-qemu-vm1 0123abcd → 4567wxyz
        ~ linux: 6.6.1 → 6.6.2
        ~ openssl: 1.1.1w, 3.0.20 → 3.0.21, -12.0 KiB
        ~ python3.11-a-package-with-a-very-long-name: 1.0, 2.0 → 3.0, 4.0, 5.0,
            +40 B
        + jq 1.7.1, +1.2 MiB
        - sqlite 3.45, -900.0 KiB
          rebuilt: etc, nixos-system-vm1, system-units and 2 more, +40 B
        closure 500.0 MiB → 501.0 MiB (+1.0 MiB), at most 14.0 MiB to send
        adopts: what is booted now, 0123abcd-microvm-qemu-vm1, becomes a generation
                first
        note: its flake file names a checkout that is not there: `microvm -u vm1`
              cannot work

    vm2       stage  microvm-qemu-vm2 0123abcd → 4567wxyz
        nothing to send
        note: the next start, or crash, of this VM boots this generation

    vm3       install and start  4567wxyz-microvm-qemu-vm3
        at most 300.0 MiB to send

    vm4       unchanged  4567wxyz-microvm-qemu-vm4

    database  refused: its runner is set by the hypervisor's own configuration at
              every boot; deploy that with `deployvm host push`

    restarts: vm1
    starts: vm3
    does not restart: vm2, vm4, database
    at most 314.0 MiB to send in all
    warning: 3.1 GiB are free where the store is
    ");
}

#[test]
fn a_plan_at_120_columns() {
    insta::assert_snapshot!(report::plan::text(&plan(), WIDE), @"
    plan for root@hv.example: 1 to restart, 1 to install, 1 to stage, 1 unchanged, 1 refused

    vm1       restart  microvm-qemu-vm1 0123abcd → 4567wxyz
        ~ linux: 6.6.1 → 6.6.2
        ~ openssl: 1.1.1w, 3.0.20 → 3.0.21, -12.0 KiB
        ~ python3.11-a-package-with-a-very-long-name: 1.0, 2.0 → 3.0, 4.0, 5.0, +40 B
        + jq 1.7.1, +1.2 MiB
        - sqlite 3.45, -900.0 KiB
          rebuilt: etc, nixos-system-vm1, system-units, unit-nginx.service and 1 more, +40 B
        closure 500.0 MiB → 501.0 MiB (+1.0 MiB), at most 14.0 MiB to send
        adopts: what is booted now, 0123abcd-microvm-qemu-vm1, becomes a generation first
        note: its flake file names a checkout that is not there: `microvm -u vm1` cannot work

    vm2       stage  microvm-qemu-vm2 0123abcd → 4567wxyz
        nothing to send
        note: the next start, or crash, of this VM boots this generation

    vm3       install and start  4567wxyz-microvm-qemu-vm3
        at most 300.0 MiB to send

    vm4       unchanged  4567wxyz-microvm-qemu-vm4

    database  refused: its runner is set by the hypervisor's own configuration at every boot; deploy that with
              `deployvm host push`

    restarts: vm1
    starts: vm3
    does not restart: vm2, vm4, database
    at most 314.0 MiB to send in all
    warning: 3.1 GiB are free where the store is
    ");
}

#[test]
fn a_plan_in_colour() {
    insta::assert_snapshot!(visible(&report::plan::text(&plan(), COLOURED)), @"
    plan for root@hv.example: 1 to restart, 1 to install, 1 to stage, 1 unchanged, 1
    refused

    ‹1›vm1‹0›       ‹33›restart‹0›  microvm-qemu-vm1 0123abcd → 4567wxyz
        ~ linux: 6.6.1 → 6.6.2
        ~ openssl: 1.1.1w, 3.0.20 → 3.0.21, -12.0 KiB
        ~ python3.11-a-package-with-a-very-long-name: 1.0, 2.0 → 3.0, 4.0, 5.0,
            +40 B
        ‹32›+ jq 1.7.1, +1.2 MiB‹0›
        ‹31›- sqlite 3.45, -900.0 KiB‹0›
          ‹2›rebuilt: etc, nixos-system-vm1, system-units and 2 more, +40 B‹0›
        closure 500.0 MiB → 501.0 MiB (+1.0 MiB), at most 14.0 MiB to send
        adopts: what is booted now, 0123abcd-microvm-qemu-vm1, becomes a generation
                first
        note: its flake file names a checkout that is not there: `microvm -u vm1`
              cannot work

    ‹1›vm2‹0›       ‹33›stage‹0›  microvm-qemu-vm2 0123abcd → 4567wxyz
        nothing to send
        note: the next start, or crash, of this VM boots this generation

    ‹1›vm3‹0›       ‹32›install and start‹0›  4567wxyz-microvm-qemu-vm3
        at most 300.0 MiB to send

    ‹1›vm4‹0›       ‹2›unchanged‹0›  4567wxyz-microvm-qemu-vm4

    ‹1›database‹0›  ‹31›refused: its runner is set by the hypervisor's own configuration at‹0›
              ‹31›every boot; deploy that with `deployvm host push`‹0›

    restarts: vm1
    starts: vm3
    does not restart: vm2, vm4, database
    at most 314.0 MiB to send in all
    ‹33›warning:‹0› 3.1 GiB are free where the store is
    ");
}

#[test]
fn a_plan_that_does_nothing_and_one_that_cannot_be_built() {
    let nothing = Plan { moves: vec![a_move("vm1", How::Keep)], ..Plan { warnings: Vec::new(), ..plan() } };
    insta::assert_snapshot!(report::plan::text(&nothing, NARROW), @"
    plan for root@hv.example: 1 unchanged

    vm1  unchanged  4567wxyz-microvm-qemu-vm1

    does not restart: vm1
    nothing to do
    ");
    let error = "error: attribute 'foo' missing\n\u{1b}[34mat\u{1b}[0m flake.nix:12:3\n\
                 to see all that Nix says: nix eval --show-trace '.#nixosConfigurations.\"vm2\".config'"
        .to_owned();
    let why = How::Refuse("locked by alice@laptop".to_owned());
    let refused = Plan { moves: vec![a_move("vm1", How::Keep), a_move("vm2", why)], ..nothing.clone() };
    let text = report::plan::text(&refused, NARROW);
    assert!(text.ends_with("\nnothing is done: vm2 refused, as said above"), "{text}");
    let broken = Plan { broken: vec![(vm("vm2"), error)], ..nothing };
    insta::assert_snapshot!(report::plan::text(&broken, NARROW), @r#"
    plan for root@hv.example: 1 unchanged, 1 broken

    vm1  unchanged  4567wxyz-microvm-qemu-vm1

    vm2  cannot be built
        error: attribute 'foo' missing
        at flake.nix:12:3
        to see all that Nix says:
        nix eval --show-trace '.#nixosConfigurations."vm2".config'

    does not restart: vm1
    nothing is touched while a VM cannot be built
    "#);
}

#[test]
fn a_mixed_result() {
    insta::assert_snapshot!(report::summary::text(&outcomes(), NARROW), @"
    vm1       deployed     gen 4  down 1.8 s  clean         checks 1/2
    vm3       unchanged
    vm2       rolled-back  gen 3  down 9.2 s  guest killed  checks 1/2
    vm4       skipped
    database  refused

    vm1 deployed
      check ssh from hypervisor fails, as it did before

    vm2 rolled-back: check-failed
      check web from hypervisor failed after 30.0 s: HTTP 500
      state: what ran before runs again (0123abcd-microvm-qemu-vm2)
      last lines of its console:
        │ [FAILED] Failed to start nginx.service.
        │ reboot: Power down
      next: deployvm history vm2
            deployvm push --keep-failed vm2

    vm4 skipped
      state: not touched
      next: deployvm push vm4

    database refused: locked
      locked by alice@laptop since 18:39 for a push
      state: not touched
      next: deployvm plan database

    1 deployed, 1 unchanged, 1 rolled-back, 1 skipped, 1 refused
    ");
    assert_eq!(exit_code(&outcomes()), 31);
}

#[test]
fn status_with_remarks() {
    insta::assert_snapshot!(report::status::text(&rows(), false, NARROW), @"
    NAME      STATE     GEN  RUNS                       UNIT     AGE   REVISION
    vm1       current     3  0123abcd-microvm-qemu-vm1  running  25 h  012345678
    vm2       stale       3  0123abcd-microvm-qemu-vm2  running  25 h  012345678+
    vm3       outdated    3  0123abcd-microvm-qemu-vm3  running  25 h  012345678
    database  absent         -                          -

    vm2: the next start, or crash, boots 4567wxyz-microvm-qemu-vm2
    vm3: the flake wants 9876zyxw-microvm-qemu-vm3
    vm3: the hypervisor's own configuration sets its runner at every boot and switch
    database: not installed: `deployvm push database` installs it
    ");
    insta::assert_snapshot!(report::status::text(&rows(), true, WIDE), @"
    NAME      STATE     GEN  DESIRED                  STAGED                  BOOTED                  RUNNING
    vm1       current     3  0123abcd-microvm-qemu-…  0123abcd-microvm-qemu…  0123abcd-microvm-qemu…  0123abcd-microvm-qemu…
    vm2       stale       3  4567wxyz-microvm-qemu-…  4567wxyz-microvm-qemu…  0123abcd-microvm-qemu…  0123abcd-microvm-qemu…
    vm3       outdated    3  9876zyxw-microvm-qemu-…  0123abcd-microvm-qemu…  0123abcd-microvm-qemu…  0123abcd-microvm-qemu…
    database  absent         -                        -                       -                       -

    vm2: the next start, or crash, boots 4567wxyz-microvm-qemu-vm2
    vm3: the flake wants 9876zyxw-microvm-qemu-vm3
    vm3: the hypervisor's own configuration sets its runner at every boot and switch
    database: not installed: `deployvm push database` installs it
    ");
}

#[test]
fn failures() {
    let failure = Failure::new(Aftermath::Unreachable, "cannot log in to root@hv.example")
        .output("root@hv.example: Permission denied (publickey).")
        .help("try `ssh root@hv.example true`: what it says is what deployvm met");
    insta::assert_snapshot!(report::failure::text(&failure, NARROW), @"
    × cannot log in to root@hv.example
    ╰─▶ root@hv.example: Permission denied (publickey).
    state: nothing was changed on the hypervisor
    help: try `ssh root@hv.example true`: what it says is what deployvm met
    ");
    insta::assert_snapshot!(visible(&report::failure::text(&failure, COLOURED)), @"
      ‹31›×‹0› cannot log in to root@hv.example
    ‹31›  ╰─▶ ‹0›root@hv.example: Permission denied (publickey).
      ‹36›state: ‹0›nothing was changed on the hypervisor
      ‹36›help: ‹0›try `ssh root@hv.example true`: what it says is what deployvm met
    ");
    insta::assert_snapshot!(json::failure(&failure), @r#"
    {"schema":1,"event":"error","exit":11,"message":"cannot log in to root@hv.example","state":"nothing was changed on the hypervisor","output":["root@hv.example: Permission denied (publickey)."],"help":"try `ssh root@hv.example true`: what it says is what deployvm met"}
    "#);
}

#[test]
fn what_may_go_and_what_went() {
    use deployvm::model::old::{Listing, Old};
    let old = |numbers: &[u64]| Old::Numbers(numbers.to_vec());
    let vms = vec![(vm("vm1"), old(&[1, 2, 3, 7])), (vm("vm2"), old(&[])), (vm("vm3"), Old::Busy)];
    let listing = Listing { vms, freed: Some((5 << 20, 12)) };
    insta::assert_snapshot!(report::prune::listing(&listing, NARROW), @"
    VM   OLD
    vm1  1-3 7
    vm2  nothing
    vm3  left alone: somebody works on it

    Nothing else uses 5.0 MiB of the store (12 paths).
    ");
    let unknown = Listing { freed: None, ..listing.clone() };
    insta::assert_snapshot!(report::prune::listing(&unknown, NARROW).lines().last().unwrap(), @"How much that frees cannot be told.");
    let nothing = Listing { vms: vec![(vm("vm2"), old(&[]))], freed: Some((0, 0)) };
    insta::assert_snapshot!(report::prune::listing(&nothing, NARROW), @"
    VM   OLD
    vm2  nothing
    ");
    insta::assert_snapshot!(report::prune::pruned(&listing.vms, "ssh hv nix-collect-garbage").join("\n"), @"
    vm3 was left alone: somebody works on it now
    4 generations dropped
      the next garbage collection frees what only they used: ssh hv nix-collect-garbage
    ");
    insta::assert_snapshot!(report::prune::pruned(&[], "").join("\n"), @"nothing dropped");
}

#[test]
fn json_lines() {
    let mut lines = vec![
        json::event(&Event::Phase { name: "evaluate", total: None }),
        json::event(&Event::BuildLog { line: "\u{1b}[31mcc\u{1b}[0m\n".to_owned() }),
        json::event(&Event::Copying { done: 1, total: 2, bytes: None, total_bytes: None }),
        json::event(&Event::Checked { vm: vm("vm1"), check: check("web", false, Some("HTTP 500")) }),
    ];
    lines.push(json::summary(31, &outcomes()[2..3]));
    lines.push(json::status(&rows()[3..]));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"schema":1,"event":"phase","name":"evaluate","total":null}
    {"schema":1,"event":"build-log","line":"cc"}
    {"schema":1,"event":"copying","done":1,"total":2,"bytes":null,"total_bytes":null}
    {"schema":1,"event":"checked","vm":"vm1","check":{"name":"web","from":"hypervisor","ok":false,"millis":30000,"note":"HTTP 500"}}
    {"schema":1,"event":"summary","exit":31,"vms":[{"name":"vm2","result":"rolled-back","exit":31,"from":"/nix/store/0123abcd0123abcd0123abcd0123abcd-microvm-qemu-vm2","to":"/nix/store/4567wxyz4567wxyz4567wxyz4567wxyz-microvm-qemu-vm2","generation":3,"reason":"check-failed","detail":null,"checks":[{"name":"ping","from":"hypervisor","ok":true,"millis":12,"note":null},{"name":"web","from":"hypervisor","ok":false,"millis":30000,"note":"HTTP 500"}],"downtime_millis":9200,"shutdown":"killed","console":["[FAILED] Failed to start nginx.service.","reboot: Power down"],"transaction":"20261120-1","todo":[]}]}
    {"schema":1,"vms":[{"name":"database","hypervisor":"main","state":"absent","generation":null,"runner":{"desired":null,"staged":null,"booted":null,"running":null},"unit":{"active":null,"sub":null,"main_pid":null,"restarts":null,"age":null},"revision":null,"dirty":null,"mode":null,"autostart":null,"notes":[]}]}
    "#);
    assert!(lines.iter().all(|line| line.starts_with("{\"schema\":1,") && !line.contains('\n')));
}

#[test]
fn a_plan_as_json_has_the_keys_of_the_interface() {
    let text = json::plan(&plan());
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let first = &value["moves"][0];
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    insta::assert_snapshot!(keys(first).join(" "), @"adopt bytes_to_send checks diff from how notes reason to vm");
    insta::assert_snapshot!(keys(&first["diff"]).join(" "), @"added bytes_after bytes_before bytes_to_send changed rebuilt removed");
    insta::assert_snapshot!(first["diff"]["changed"][1], @r#"
    {"after":["3.0.21"],"before":["1.1.1w","3.0.20"],"bytes":-12288,"name":"openssl"}
    "#);
    let how: Vec<&str> =
        value["moves"].as_array().unwrap().iter().map(|each| each["how"].as_str().unwrap()).collect();
    assert_eq!(how, ["restart", "stage", "install", "keep", "refuse"]);
    assert!(json::proposal(&plan()).starts_with("{\"schema\":1,\"event\":\"plan\","));
}

#[test]
fn nothing_is_wider_than_its_page_and_foreign_text_drives_no_terminal() {
    for width in [20, 60, 80, 120] {
        let page = Page { width: Some(width), colour: false };
        let texts = [
            report::plan::text(&plan(), page),
            report::summary::text(&outcomes(), page),
            report::status::text(&rows(), false, page),
            report::history::text(&entries(), page),
        ];
        for text in texts {
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
            // Only what has no blank to break at, such as a command, may be wider.
            let wide = text.lines().find(|line| report::page::columns(line) > width.max(60));
            assert_eq!(wide, None);
        }
    }
}
