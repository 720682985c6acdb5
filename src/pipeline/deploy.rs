//! One VM's switch: begin the transaction, run the laptop's checks while it is on
//! trial, hand in the verdict, read back what the hypervisor recorded.

use std::time::Duration;

use super::reconnect::follow_again;
use crate::error::{Failure, Result, last_lines};
use crate::host::{Host, probe};
use crate::model::address::Address;
use crate::model::check::CheckResult;
use crate::model::event::{Event, Events};
use crate::model::outcome::{Outcome, Word};
use crate::model::plan::{How, Move};
use crate::stage::Copied;
use crate::stage::judge::{self, Verdict};
use crate::stage::switch::{self, Ended, Facts, Line, OnTrial};

/// What one switch needs besides the move itself.
pub struct Attendance<'a> {
    /// The open connection.
    pub host: &'a Host,
    /// To connect again when it is lost.
    pub address: &'a Address,
    /// What is the same for all switches of this command.
    pub facts: &'a Facts,
    /// Where to say what happens.
    pub events: &'a Events,
    /// Becomes true at the first Ctrl-C.
    pub interrupted: tokio::sync::watch::Receiver<bool>,
}

/// Switches one VM and says how it ended. Only what the hypervisor recorded counts.
pub async fn deploy(attendance: &Attendance<'_>, copied: Copied) -> Outcome {
    let Move { vm, to, from, .. } = copied.movement().clone();
    let (mut outcome, id) = match OnTrial::new(copied, attendance.facts) {
        Ok(trial) => {
            let id = trial.transaction.to_string();
            (attend(attendance, &trial).await.unwrap_or_else(|f| failed(&trial, &f)), Some(id))
        }
        Err(failure) => {
            let mut outcome = Outcome::new(vm, Word::Failed, failure.aftermath.code());
            outcome.detail = Some(failure.message);
            (outcome, None)
        }
    };
    outcome.from = from;
    outcome.to = Some(to);
    outcome.transaction = id;
    attendance.events.send(Event::Done { outcome: outcome.clone() });
    outcome
}

fn failed(trial: &OnTrial, failure: &Failure) -> Outcome {
    let code = failure.aftermath.code();
    let result = if code == 12 { Word::Refused } else { Word::Failed };
    let mut outcome = Outcome::new(trial.movement.vm.clone(), result, code);
    let help = failure.help.as_deref().map(|h| format!("; {h}")).unwrap_or_default();
    outcome.detail = Some(format!("{}{help}", failure.message));
    outcome.console = failure.output.clone();
    outcome
}

async fn attend(attendance: &Attendance<'_>, trial: &OnTrial) -> Result<Outcome> {
    let vm = &trial.movement.vm;
    let checks = &trial.hypervisor_checks();
    let way = probe::way(attendance.host, &trial.movement);
    let before = judge::before(&trial.movement, &way).await;
    let (steps, mut heard) = tokio::sync::mpsc::unbounded_channel::<Line>();
    let events = attendance.events;
    let tell = move |line: Line| {
        if let Some(event) = line.clone().event(vm, checks) {
            events.send(event);
        }
        // Nobody listens any more once the verdict was handed in.
        let _ = steps.send(line);
    };
    let follow = async move {
        match switch::start(attendance.host, trial, tell).await {
            Err(failure) if failure.aftermath == crate::error::Aftermath::Unreachable => {
                events
                    .send(Event::Warning { message: format!("{vm}: the connection was lost; asking again") });
                let patience = patience(trial);
                let quiet = |line: Line| line.event(vm, checks).into_iter().for_each(|e| events.send(e));
                follow_again(attendance.address, &trial.transaction, patience, quiet).await
            }
            other => other,
        }
    };
    let judge = async {
        if trial.movement.how == How::Stage {
            return Vec::new();
        }
        judge_it(attendance, trial, &way, &before, &mut heard).await
    };
    // Both end: the judge at the latest when the transaction has an outcome.
    let (ended, results) = tokio::join!(follow, judge);
    Ok(outcome_of(trial, ended?, results))
}

/// The deadlines of the transaction and a minute: so long it is worth asking again.
fn patience(trial: &OnTrial) -> Duration {
    let deadlines = trial.movement.deadlines;
    let checks: u32 = trial.movement.checks.iter().map(|c| c.within).sum();
    Duration::from_secs(u64::from(2 * deadlines.boot + 2 * checks + deadlines.verdict) + 60)
}

/// Waits until the VM is up, runs the laptop's checks, waits until the hypervisor's
/// hold, and hands the verdict in.
async fn judge_it(
    attendance: &Attendance<'_>,
    trial: &OnTrial,
    way: &probe::Way,
    before: &[Option<bool>],
    heard: &mut tokio::sync::mpsc::UnboundedReceiver<Line>,
) -> Vec<CheckResult> {
    let mut interrupted = attendance.interrupted.clone();
    let id = &trial.transaction;
    let mut results = Vec::new();
    let work = async {
        if !reached(heard, "booted").await {
            return None;
        }
        results = judge::checks(&trial.movement, way, before, attendance.events).await;
        if !results.iter().all(judge::is_good) {
            return Some(if attendance.facts.keep_failed {
                Verdict::KeepFailed
            } else {
                Verdict::CheckFailed
            });
        }
        reached(heard, "waiting").await.then_some(Verdict::Commit)
    };
    let verdict = tokio::select! {
        verdict = work => verdict,
        _ = interrupted.wait_for(|yes| *yes) => Some(Verdict::Interrupted),
    };
    let handed = match verdict {
        None => return results,
        Some(Verdict::Commit) => judge::hand_in(attendance.host, id, Verdict::Commit, &results).await,
        Some(other) => judge::ask_to_undo(attendance.host, id, other, &results).await,
    };
    if let Err(failure) = handed {
        // Without a verdict the hypervisor undoes; its record will say so.
        let message =
            format!("{}: the verdict could not be handed in: {}", trial.movement.vm, failure.message);
        attendance.events.send(Event::Warning { message });
    }
    results
}

/// Listens until a step is reached; false when the transaction ends before.
async fn reached(heard: &mut tokio::sync::mpsc::UnboundedReceiver<Line>, wanted: &str) -> bool {
    while let Some(line) = heard.recv().await {
        if matches!(&line, Line::Step(step, _) if step == wanted) {
            return true;
        }
    }
    false
}

fn outcome_of(trial: &OnTrial, ended: Ended, laptop: Vec<CheckResult>) -> Outcome {
    let recorded = ended.recorded;
    let result = match recorded.result.as_str() {
        "deployed" => Word::Deployed,
        "staged" => Word::Staged,
        "done" => Word::Done,
        "rolled-back" => Word::RolledBack,
        "refused" => Word::Refused,
        _ => Word::Failed,
    };
    let mut outcome = Outcome::new(trial.movement.vm.clone(), result, recorded.exit);
    outcome.generation = recorded.generation;
    let good = matches!(result, Word::Deployed | Word::Staged | Word::Done);
    outcome.reason = (!good && !recorded.reason.is_empty()).then_some(recorded.reason);
    outcome.checks = ended.checks.iter().filter_map(|json| serde_json::from_str(json).ok()).collect();
    outcome.checks.extend(laptop);
    outcome.downtime = recorded.downtime;
    outcome.shutdown = recorded.shutdown.filter(|s| s != "none");
    if !good {
        outcome.console = last_lines(&ended.console, 30);
    }
    outcome
}
