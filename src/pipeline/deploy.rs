//! One VM's switch: begin the transaction, run the laptop's checks while it is on
//! trial, hand in the verdict, read back what the hypervisor recorded.

use std::time::Duration;

use tokio::sync::watch;

use super::reconnect::follow_again;
use crate::error::{Aftermath, Failure, Result, last_lines};
use crate::host::{Host, probe};
use crate::model::address::Address;
use crate::model::check::{CheckResult, Expect};
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

impl<'a> Attendance<'a> {
    /// The same over another connection.
    pub fn over<'b>(&'b self, host: &'b Host) -> Attendance<'b>
    where
        'a: 'b,
    {
        Attendance {
            host,
            address: self.address,
            facts: self.facts,
            events: self.events,
            interrupted: self.interrupted.clone(),
        }
    }
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
    let staged = trial.movement.how == How::Stage;
    let before = if staged { Vec::new() } else { judge::before(&trial.movement, &way).await };
    let (progress, watched) = watch::channel(Progress::Begun);
    let events = attendance.events;
    let told = &std::cell::Cell::new(0);
    let tell = move |line: Line| {
        told.set(told.get() + 1);
        if let Line::Step(step, _) = &line {
            let reached = Progress::of(step);
            progress.send_if_modified(|now| {
                let further = reached > *now;
                *now = (*now).max(reached);
                further
            });
        }
        if let Some(event) = line.event(vm, checks) {
            events.send(event);
        }
    };
    let follow = async move {
        let mut tell = tell;
        match switch::start(attendance.host, trial, &mut tell).await {
            Err(failure) if failure.aftermath == Aftermath::Unreachable => {
                events
                    .send(Event::Warning { message: format!("{vm}: the connection was lost; asking again") });
                // The judge goes on listening: a verdict needs no more than a new connection.
                let (patience, told) = (patience(trial), told.get());
                let (lost, address) = (attendance.host, attendance.address);
                follow_again(lost, address, &trial.transaction, patience, told, &mut tell).await
            }
            other => other,
        }
    };
    let mut results = Vec::new();
    let judge = async {
        if !staged {
            judge_it(attendance, trial, &way, &before, watched, &mut results).await;
        }
    };
    // Both end: the judge at the latest when the transaction has an outcome.
    let (ended, ()) = tokio::join!(follow, judge);
    let mut outcome = outcome_of(trial, ended?, results);
    if outcome.result == Word::RolledBack {
        see_to_the_rest(trial, &way, &before, &mut outcome).await;
    }
    Ok(outcome)
}

/// An undo is good when everything that passed before passes again, here as well.
async fn see_to_the_rest(trial: &OnTrial, way: &probe::Way, before: &judge::Before, outcome: &mut Outcome) {
    let lost = judge::lost(&trial.movement, way, before).await;
    if lost.is_empty() {
        return;
    }
    let name = |check: &CheckResult| {
        format!("{} from {} ({})", check.name, check.from, check.note.as_deref().unwrap_or("failed"))
    };
    let names: Vec<String> = lost.iter().map(name).collect();
    outcome.result = Word::Failed;
    outcome.exit = Aftermath::Unknown.code();
    outcome.detail = Some(format!(
        "what ran before runs again, but this passed before and does not now: {}",
        names.join(", ")
    ));
}

/// The deadlines of the transaction and a minute: so long it is worth asking again.
fn patience(trial: &OnTrial) -> Duration {
    let deadlines = trial.movement.deadlines;
    let checks: u32 = trial.movement.checks.iter().map(|c| c.within).sum();
    Duration::from_secs(u64::from(2 * deadlines.boot + 2 * checks + deadlines.verdict) + 60)
}

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Begun,
    /// The guest is up.
    Booted,
    /// The hypervisor's positive checks hold.
    Positive,
    /// It waits for the verdict.
    Waiting,
    /// Decided, by whomever.
    Over,
}

impl Progress {
    fn of(step: &str) -> Self {
        match step {
            "booted" => Self::Booted,
            "positive" => Self::Positive,
            "waiting" => Self::Waiting,
            "failed" | "decided" | "undoing" | "closed" => Self::Over,
            _ => Self::Begun,
        }
    }
}

/// Waits until a step is reached; false when the transaction ends before.
async fn reached(progress: &mut watch::Receiver<Progress>, wanted: Progress) -> bool {
    progress.wait_for(|now| *now >= wanted).await.is_ok_and(|now| *now == wanted || *now < Progress::Over)
}

/// Waits until the VM is up, runs the laptop's checks, waits until the hypervisor's
/// hold, and hands the verdict in. What must be refused comes after all that must not.
async fn judge_it(
    attendance: &Attendance<'_>,
    trial: &OnTrial,
    way: &probe::Way,
    before: &judge::Before,
    progress: watch::Receiver<Progress>,
    results: &mut Vec<CheckResult>,
) {
    let mut interrupted = attendance.interrupted.clone();
    let (id, movement, events) = (&trial.transaction, &trial.movement, attendance.events);
    let mut over = progress.clone();
    let verdict = {
        let work = async {
            let mut progress = progress;
            if !reached(&mut progress, Progress::Booted).await {
                return None;
            }
            let bad = if attendance.facts.keep_failed { Verdict::KeepFailed } else { Verdict::CheckFailed };
            judge::checks(movement, Expect::Ok, way, before, events, results).await;
            if !results.iter().all(judge::is_good) {
                return Some(bad);
            }
            if trial.agree
                && let Err(failure) = judge::agree(attendance.host, id).await
            {
                // It waits in vain, and undoes.
                events.send(Event::Warning { message: format!("{}: {}", movement.vm, failure.message) });
            }
            if movement.expects_elsewhere(Expect::Refused) {
                if !reached(&mut progress, Progress::Positive).await {
                    return None;
                }
                judge::checks(movement, Expect::Refused, way, before, events, results).await;
                if !results.iter().all(judge::is_good) {
                    return Some(bad);
                }
            }
            reached(&mut progress, Progress::Waiting).await.then_some(Verdict::Commit)
        };
        tokio::select! {
            verdict = work => verdict,
            // What is decided needs no more checks: they would ask what ran before.
            _ = over.wait_for(|now| *now == Progress::Over) => None,
            _ = interrupted.wait_for(|yes| *yes) => Some(Verdict::Interrupted),
        }
    };
    let handed = match verdict {
        None => return,
        Some(Verdict::Commit) => judge::hand_in(attendance.host, id, Verdict::Commit, results).await,
        Some(other) => judge::ask_to_undo(attendance.host, id, other, results).await,
    };
    if let Err(failure) = handed {
        // Without a verdict the hypervisor undoes; its record will say so.
        let message = format!("{}: the verdict could not be handed in: {}", movement.vm, failure.message);
        events.send(Event::Warning { message });
    }
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
