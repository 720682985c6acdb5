//! The laptop's part of a verdict: its own checks while a VM is on trial, and handing
//! the verdict in over a connection that is made just for it.

use std::time::Duration;

use crate::error::Result;
use crate::host::{Host, clock, probe, script};
use crate::model::check::{Check, CheckResult, Expect, From};
use crate::model::event::{Event, Events};
use crate::model::name::{TransactionId, VmName};
use crate::model::plan::Move;

/// What the laptop thinks of a VM on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Commit,
    /// A check of the laptop's failed.
    CheckFailed,
    /// The same, but the user wants it left as it is.
    KeepFailed,
    /// The user pressed Ctrl-C.
    Interrupted,
}

impl Verdict {
    /// The word that the transaction records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit.laptop",
            Self::CheckFailed => "undo.laptop-check-failed",
            Self::KeepFailed => "keep.laptop-check-failed",
            Self::Interrupted => "undo.interrupted",
        }
    }
}

/// Which of the laptop's checks passed before anything was touched; for the excuse of
/// interface.md. `None` for checks that need no excuse.
pub async fn before(movement: &Move, way: &probe::Way) -> Vec<Option<bool>> {
    let mut passed = Vec::new();
    for check in elsewhere(movement) {
        let ask = check.excusable && !check.strict;
        passed.push(if ask { Some(holds(check, &probe::ask(check, way).await)) } else { None });
    }
    passed
}

/// Runs the laptop's and the guest's checks until each holds or its time is over,
/// positive ones first. Returns their results; all of them `ok` or excused means good.
pub async fn checks(
    movement: &Move,
    way: &probe::Way,
    before: &[Option<bool>],
    events: &Events,
) -> Vec<CheckResult> {
    let mut results = Vec::new();
    for wanted in [Expect::Ok, Expect::Refused] {
        for (index, check) in elsewhere(movement).enumerate().filter(|(_, c)| c.expect == wanted) {
            let mut result = attempt(check, way).await;
            if !result.ok && before.get(index) == Some(&Some(false)) {
                result.note = Some("failing-before".to_owned());
            }
            events.send(Event::Checked { vm: movement.vm.clone(), check: result.clone() });
            let good = is_good(&result);
            results.push(result);
            if !good {
                return results;
            }
        }
    }
    results
}

/// All checks of a VM that nobody switches, wherever they run: every one has a result.
/// What expects a refusal says nothing about a VM of which something else fails, and no
/// check says anything about one that does not stand: these are failed without a try.
pub async fn survey(movement: &Move, way: &probe::Way, stands: bool, events: &Events) -> Vec<CheckResult> {
    let mut results: Vec<CheckResult> = Vec::new();
    for wanted in [Expect::Ok, Expect::Refused] {
        for check in movement.checks.iter().filter(|c| c.expect == wanted) {
            let ask = stands && (wanted == Expect::Ok || results.iter().all(|r| r.ok));
            let result = if ask { attempt(check, way).await } else { not_run(check) };
            events.send(Event::Checked { vm: movement.vm.clone(), check: result.clone() });
            results.push(result);
        }
    }
    results
}

fn not_run(check: &Check) -> CheckResult {
    CheckResult {
        name: check.name.clone(),
        from: check.from,
        ok: false,
        millis: None,
        note: Some("another check failed before it".to_owned()),
        definition: Some(check.definition()),
    }
}

/// Whether a result lets a deployment stand.
pub fn is_good(result: &CheckResult) -> bool {
    result.ok || result.note.as_deref() == Some("failing-before")
}

fn elsewhere(movement: &Move) -> impl Iterator<Item = &Check> {
    movement.checks.iter().filter(|c| c.from != From::Hypervisor)
}

/// One check to its end: retried with growing pauses, or, for `refused`, three times
/// over three seconds.
pub async fn attempt(check: &Check, way: &probe::Way) -> CheckResult {
    let began = clock::moment();
    let mut pause = Duration::from_millis(100);
    let mut held = 0;
    let (ok, found) = loop {
        let found = probe::ask(check, way).await;
        if holds(check, &found) {
            held += 1;
            if check.expect == Expect::Ok || held == 3 {
                break (true, found);
            }
            tokio::time::sleep(Duration::from_millis(1500)).await;
            continue;
        }
        let over = began.elapsed() >= Duration::from_secs(u64::from(check.within));
        if over || check.expect == Expect::Refused {
            break (false, found);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    };
    CheckResult {
        name: check.name.clone(),
        from: check.from,
        ok,
        millis: u64::try_from(began.elapsed().as_millis()).ok(),
        note: (!ok).then_some(found),
        definition: Some(check.definition()),
    }
}

fn holds(check: &Check, found: &str) -> bool {
    match check.expect {
        Expect::Ok => found == "ok",
        Expect::Refused => matches!(found, "refused" | "timeout" | "unreachable"),
    }
}

/// Hands the verdict in over a fresh connection, which is itself part of the verdict:
/// a hypervisor that cannot be reached any more must not be told that all is well.
/// Returns the verdict that holds.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be reached over a new connection.
pub async fn hand_in(
    host: &Host,
    id: &TransactionId,
    verdict: Verdict,
    results: &[CheckResult],
) -> Result<String> {
    let reply = host.script_fresh(script::DECIDE, &decision(id, verdict, results)).await?;
    Ok(reply.fields.first().cloned().unwrap_or_default())
}

/// The same over the open connection: good enough to ask for an undo.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn ask_to_undo(
    host: &Host,
    id: &TransactionId,
    verdict: Verdict,
    results: &[CheckResult],
) -> Result<String> {
    let reply = host.script(script::DECIDE, &decision(id, verdict, results)).await?;
    Ok(reply.fields.first().cloned().unwrap_or_default())
}

fn decision(id: &TransactionId, verdict: Verdict, results: &[CheckResult]) -> Vec<String> {
    let json: Vec<String> = results.iter().filter_map(|r| serde_json::to_string(r).ok()).collect();
    vec![id.to_string(), verdict.word().to_owned(), json.join(",")]
}

/// A name for messages.
pub fn describe(vm: &VmName, result: &CheckResult) -> String {
    let note = result.note.as_deref().unwrap_or("failed");
    format!("{vm}: check {} from {}: {note}", result.name, result.from)
}
