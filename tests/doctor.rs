//! `doctor`: its page in the docs has every trap and no other, and what it says reads
//! well on any page.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use deployvm::model::finding::{Finding, Mend, Place, Severity, Trap};
use deployvm::report::page::Page;
use deployvm::report::{doctor, json};

#[test]
fn every_trap_is_in_the_docs_and_no_other() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/doctor.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let named: Vec<&str> =
        rows.flat_map(|cell| cell.split(['`', ',', ' '])).filter(|w| !w.is_empty()).collect();
    let documented: BTreeSet<&str> = named.iter().copied().collect();
    assert_eq!(named.len(), documented.len(), "explained twice");
    let known: BTreeSet<&str> = Trap::ALL.iter().map(|trap| trap.id()).collect();
    assert_eq!(known.len(), Trap::ALL.len(), "two traps of one name");
    assert_eq!(documented, known);
}

fn finding(id: Trap, severity: Severity, place: Place, what: &str, evidence: &str, mend: Mend) -> Finding {
    Finding { id, severity, place, what: what.to_owned(), evidence: evidence.to_owned(), mend }
}

fn findings() -> Vec<Finding> {
    let vm1 = || Place::Vm("vm1".parse().unwrap());
    vec![
        finding(
            Trap::DirectoryUnwritable,
            Severity::Error,
            vm1(),
            "microvm cannot write its directory, so `booted` cannot be written and it cannot be started",
            "/var/lib/microvms/vm1 is root:root 755",
            Mend::Type(
                "ssh root@hv.example 'chown microvm:kvm /var/lib/microvms/vm1 && chmod 0775 /var/lib/microvms/vm1'"
                    .to_owned(),
            ),
        ),
        finding(
            Trap::LoginTalks,
            Severity::Error,
            Place::Hypervisor,
            "the login shell prints something before every command, which breaks `nix copy`",
            "Welcome!",
            Mend::Do("let the shell's start file print only where somebody reads it: `[ -t 1 ] || return` before it\nor log in otherwise".to_owned()),
        ),
        finding(
            Trap::SshAgent,
            Severity::Warning,
            Place::Laptop,
            "SSH_AUTH_SOCK names an agent that does not answer",
            "/tmp/agent.1\u{1b}[2J",
            Mend::Type("eval \"$(ssh-agent)\" && ssh-add".to_owned()),
        ),
        finding(Trap::HostOwned, Severity::Note, vm1(), "the host writes `current`", "a unit", "say otherwise".into()),
    ]
}

fn text(width: Option<usize>, colour: bool) -> String {
    doctor::text(&findings(), "this machine and hv", Page { width, colour })
}

#[test]
fn at_80_columns() {
    insta::assert_snapshot!(text(Some(80), false), @r#"
    error    vm1: microvm cannot write its directory, so `booted` cannot be written
             and it cannot be started
             /var/lib/microvms/vm1 is root:root 755
             mend: ssh root@hv.example 'chown microvm:kvm /var/lib/microvms/vm1 && chmod 0775 /var/lib/microvms/vm1'
             [directory-unwritable]

    error    hypervisor: the login shell prints something before every command,
             which breaks `nix copy`
             Welcome!
             mend: let the shell's start file print only where somebody reads it:
                   `[ -t 1 ] || return` before it
                   or log in otherwise
             [login-talks]

    warning  laptop: SSH_AUTH_SOCK names an agent that does not answer
             /tmp/agent.1
             mend: eval "$(ssh-agent)" && ssh-add
             [ssh-agent]

    note     vm1: the host writes `current`
             a unit
             mend: say otherwise
             [host-owned]

    2 errors, 1 warning, 1 note
    "#);
}

#[test]
fn at_120_columns() {
    insta::assert_snapshot!(text(Some(120), false), @r#"
    error    vm1: microvm cannot write its directory, so `booted` cannot be written and it cannot be started
             /var/lib/microvms/vm1 is root:root 755
             mend: ssh root@hv.example 'chown microvm:kvm /var/lib/microvms/vm1 && chmod 0775 /var/lib/microvms/vm1'
             [directory-unwritable]

    error    hypervisor: the login shell prints something before every command, which breaks `nix copy`
             Welcome!
             mend: let the shell's start file print only where somebody reads it: `[ -t 1 ] || return` before it
                   or log in otherwise
             [login-talks]

    warning  laptop: SSH_AUTH_SOCK names an agent that does not answer
             /tmp/agent.1
             mend: eval "$(ssh-agent)" && ssh-add
             [ssh-agent]

    note     vm1: the host writes `current`
             a unit
             mend: say otherwise
             [host-owned]

    2 errors, 1 warning, 1 note
    "#);
}

#[test]
fn in_a_pipe() {
    insta::assert_snapshot!(text(None, false), @r#"
    error    vm1: microvm cannot write its directory, so `booted` cannot be written and it cannot be started
             /var/lib/microvms/vm1 is root:root 755
             mend: ssh root@hv.example 'chown microvm:kvm /var/lib/microvms/vm1 && chmod 0775 /var/lib/microvms/vm1'
             [directory-unwritable]

    error    hypervisor: the login shell prints something before every command, which breaks `nix copy`
             Welcome!
             mend: let the shell's start file print only where somebody reads it: `[ -t 1 ] || return` before it
                   or log in otherwise
             [login-talks]

    warning  laptop: SSH_AUTH_SOCK names an agent that does not answer
             /tmp/agent.1
             mend: eval "$(ssh-agent)" && ssh-add
             [ssh-agent]

    note     vm1: the host writes `current`
             a unit
             mend: say otherwise
             [host-owned]

    2 errors, 1 warning, 1 note
    "#);
}

#[test]
fn colours_change_no_word() {
    let coloured = text(Some(80), true);
    assert!(coloured.contains("\u{1b}[31merror    \u{1b}[0m\u{1b}[1mvm1:\u{1b}[0m"), "{coloured:?}");
    assert_eq!(console::strip_ansi_codes(&coloured), text(Some(80), false));
}

#[test]
fn nothing_is_a_result_as_well() {
    insta::assert_snapshot!(
        doctor::text(&[], "this machine and hv", Page::PLAIN),
        @"nothing to mend on this machine and hv"
    );
    insta::assert_snapshot!(json::findings(&[]), @r#"{"schema":1,"findings":[]}"#);
    insta::assert_snapshot!(
        json::findings(&findings()[3..]),
        @r#"{"schema":1,"findings":[{"id":"host-owned","severity":"note","where":"vm1","what":"the host writes `current`","evidence":"a unit","mend":"say otherwise"}]}"#
    );
}
