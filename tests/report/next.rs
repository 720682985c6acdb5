//! What a summary tells to type next, and how it words what was done.

use deployvm::model::name::VmName;
use deployvm::model::outcome::{Outcome, Word};
use deployvm::report::{self, json};

use super::NARROW;
use super::fixtures::{runner, vm};

#[test]
fn what_to_type_next() {
    let ended = |exit, result, reason: &str| Outcome {
        from: Some(runner("0123abcd", "vm2")),
        to: Some(runner("4567wxyz", "vm2")),
        reason: Some(reason.to_owned()),
        ..Outcome::new(vm("vm2"), result, exit)
    };
    let again = |verb: &str, outcome: Outcome| Outcome { again: Some(verb.to_owned()), ..outcome };
    let interrupted = || ended(30, Word::RolledBack, "interrupted");
    let kept = |before| Outcome { before, ..ended(32, Word::Failed, "check-failed") };
    let all = [
        interrupted(),
        again("rollback vm2", interrupted()),
        again("rollback vm2", ended(31, Word::RolledBack, "check-failed")),
        again("rollback vm2", ended(13, Word::Skipped, "")),
        kept(Some(3)),
        kept(None),
        Outcome { from: None, ..kept(None) },
        Outcome { to: None, ..ended(32, Word::Failed, "check-failed") },
        Outcome { to: None, from: None, ..ended(32, Word::Failed, "not-installed") },
        Outcome { to: None, from: None, ..ended(32, Word::Failed, "no-runner") },
        Outcome { name: VmName::host(), ..interrupted() },
        again("host rollback --to 1", Outcome { name: VmName::host(), ..interrupted() }),
    ];
    let next = |outcome: &Outcome| {
        let text = report::summary::text(std::slice::from_ref(outcome), NARROW);
        let next = text.split_once("next: ").map(|(_, next)| next.replace("\n        ", "; "));
        let state = report::summary::state(outcome).unwrap_or_default();
        format!("{}: {}", state, next.unwrap_or_default())
    };
    insta::assert_snapshot!(all.iter().map(next).collect::<Vec<_>>().join("\n"), @r"
    what ran before runs again (0123abcd-microvm-qemu-vm2): deployvm push vm2
    what ran before runs again (0123abcd-microvm-qemu-vm2): deployvm rollback vm2
    what ran before runs again (0123abcd-microvm-qemu-vm2): deployvm history vm2
    not touched: deployvm rollback vm2
    left as it is: deployvm logs vm2; deployvm rollback vm2 --to 3
    left as it is: deployvm logs vm2; deployvm rollback vm2
    left as it is: deployvm logs vm2; deployvm push vm2
    left as it is: deployvm logs vm2; deployvm rollback vm2
    absent: deployvm push vm2
    left as it is: deployvm doctor vm2; deployvm push vm2
    what ran before runs again (0123abcd-microvm-qemu-vm2): deployvm host push
    what ran before runs again (0123abcd-microvm-qemu-vm2): deployvm host rollback --to 1
    ");
}

#[test]
fn what_was_done_is_said_in_the_row() {
    let done = |name: &str, said: &str| Outcome {
        detail: Some(said.to_owned()),
        ..Outcome::new(vm(name), Word::Done, 0)
    };
    let where_ = "unlinked; volumes, if it has any, are still in /var/lib/microvms/vm4";
    let outcomes = [done("vm2", "stopped"), done("vm3", "started, and it answers"), done("vm4", where_)];
    insta::assert_snapshot!(report::summary::text(&outcomes, NARROW), @r"
    vm2  stopped
    vm3  started, and it answers
    vm4  done

    vm4 done
      unlinked; volumes, if it has any, are still in /var/lib/microvms/vm4

    3 done
    ");
    assert!(json::summary(0, &outcomes[..1]).contains(r#""result":"done","exit":0"#));
}
