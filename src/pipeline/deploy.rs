//! One VM's switch: begin the transaction, run the laptop's checks while it is on
//! trial, hand in the verdict, read back what the hypervisor recorded. Where the line is
//! lost, all but the beginning is done again over a new connection.

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::watch;

use super::aftercare;
use super::attendance::Attendance;
use super::interruption::unless;
use super::verdict::{self, Court, Progress};
use crate::error::{Aftermath, Failure, Result, last_lines};
use crate::host::{Host, clock, probe};
use crate::model::check::CheckResult;
use crate::model::event::Event;
use crate::model::outcome::{Outcome, Word};
use crate::model::plan::{How, Move};
use crate::stage::switch::{self, Ended, Line, OnTrial};
use crate::stage::{Copied, judge, observe};

/// Switches one VM and says how it ended. Only what the hypervisor recorded counts.
pub async fn deploy(attendance: &Attendance<'_>, copied: Copied) -> Outcome {
    let Move { vm, to, from, .. } = copied.movement().clone();
    let (mut outcome, id) = match OnTrial::new(copied, attendance.facts) {
        Ok(trial) => {
            let id = trial.transaction.to_string();
            let outcome = attend(attendance, &trial).await;
            // How it ended is known, and so need not be told again by the next command.
            if outcome.as_ref().is_ok_and(|o| o.result != Word::Skipped)
                || outcome.as_ref().is_err_and(|f| f.aftermath == Aftermath::Refused)
            {
                attendance.footprint.tells(&id);
            }
            (outcome.unwrap_or_else(|f| failed(&trial, &f)), Some(id))
        }
        Err(failure) => {
            let mut outcome = Outcome::new(vm.clone(), Word::Failed, failure.aftermath.code());
            outcome.detail = Some(failure.message);
            (outcome, None)
        }
    };
    outcome.from = from;
    outcome.to = Some(to);
    outcome.transaction = id;
    attendance.footprint.ends(&vm, outcome.exit);
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
    let movement = &trial.movement;
    let mut interrupted = attendance.interrupted.clone();
    let looking = async {
        match movement.how {
            How::Stage => Vec::new(),
            _ => judge::before(movement, &probe::way(attendance.host, movement)).await,
        }
    };
    let before = tokio::select! {
        // Whoever was told before does not begin.
        biased;
        _ = interrupted.wait_for(|yes| *yes) => return Ok(not_begun(attendance, trial)),
        before = looking => before,
    };
    attendance.footprint.begins(&movement.vm);
    let told = Cell::new(0);
    let first = Sitting { attendance, trial, before: &before, host: attendance.host, told: &told };
    let (ended, results) = first.follow(true).await;
    if !is_lost(&ended) {
        return conclude(&first, ended?, results).await;
    }
    let message = format!("{}: the connection was lost; connecting again", movement.vm);
    attendance.events.send(Event::Warning { message });
    let mut lost = clock::moment();
    let patience = patience(trial);
    loop {
        let left = patience.saturating_sub(lost.elapsed());
        let again = async {
            let mut interrupted = attendance.interrupted.clone();
            let host = attendance.ways.connect_again(left, &mut interrupted, attendance.events).await?;
            // After a reboot nobody works on it any more: it would have no outcome, ever.
            observe::close_open(&host).await?;
            Ok(host)
        };
        let failure = match again.await {
            Ok(host) => {
                let sitting = Sitting { host: &host, ..first };
                let said = told.get();
                let result = match sitting.follow(false).await {
                    (Ok(ended), results) => conclude(&sitting, ended, results).await,
                    (Err(failure), _) => Err(failure),
                };
                host.close().await;
                // Who had something to say is lost anew.
                if told.get() > said {
                    lost = clock::moment();
                }
                match result {
                    Ok(outcome) => return Ok(outcome),
                    Err(failure) => failure,
                }
            }
            Err(failure) => failure,
        };
        if failure.aftermath != Aftermath::Unreachable || lost.elapsed() >= patience {
            return Err(nobody_knows(attendance, trial, &failure));
        }
    }
}

fn is_lost<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(|failure| failure.aftermath == Aftermath::Unreachable)
}

fn not_begun(attendance: &Attendance<'_>, trial: &OnTrial) -> Outcome {
    let code = attendance.footprint.interrupted().code();
    let mut outcome = Outcome::new(trial.movement.vm.clone(), Word::Skipped, code);
    outcome.detail = Some("interrupted before it was touched".to_owned());
    outcome
}

fn nobody_knows(attendance: &Attendance<'_>, trial: &OnTrial, failure: &Failure) -> Failure {
    let (id, vm, address) = (&trial.transaction, &trial.movement.vm, attendance.ways.address);
    let message = format!(
        "the connection was lost during the switch {id}, and {address} cannot be asked how it ended ({failure})"
    );
    let look = if vm.is_host() {
        "deployvm host generations; deployvm history".to_owned()
    } else {
        format!("deployvm status {vm}; deployvm history {vm}")
    };
    let help = format!("the hypervisor finishes or undoes it by itself; look with: {look}");
    Failure::new(Aftermath::Unknown, message).output(&failure.output.join("\n")).help(help)
}

/// One stretch of following a transaction, over one connection.
#[derive(Clone, Copy)]
struct Sitting<'a> {
    attendance: &'a Attendance<'a>,
    trial: &'a OnTrial,
    before: &'a judge::Before,
    host: &'a Host,
    /// How many of the transaction's events were handed over.
    told: &'a Cell<usize>,
}

impl Sitting<'_> {
    /// Begins the transaction, or takes it up again, and follows it to its end, with what
    /// the laptop's checks found meanwhile.
    async fn follow(&self, begin: bool) -> (Result<Ended>, Vec<CheckResult>) {
        let Self { attendance, trial, before, host, told } = *self;
        let (progress, watched) = watch::channel(Progress::Begun);
        let checks = trial.hypervisor_checks();
        let mut heard = 0;
        let tell = |line: Line| {
            verdict::note(&progress, &line);
            heard += 1;
            if heard > told.get() {
                told.set(heard);
                line.event(&trial.movement.vm, &checks)
                    .into_iter()
                    .for_each(|event| attendance.events.send(event));
            }
        };
        let mut results = Vec::new();
        let following = async {
            if begin {
                switch::start(host, trial, tell).await
            } else {
                switch::resume(host, &trial.transaction, tell).await
            }
        };
        let judging = async {
            if trial.movement.how != How::Stage {
                Court { attendance, host, trial, before }.sit(watched, &mut results).await;
            }
            // The transaction has the last word.
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = following => ended,
            never = judging => never,
        };
        (ended, results)
    }
}

async fn conclude(sitting: &Sitting<'_>, ended: Ended, results: Vec<CheckResult>) -> Result<Outcome> {
    let Sitting { attendance, trial, host, .. } = *sitting;
    let mut outcome = outcome_of(trial, ended, results);
    let fresh =
        if outcome.result == Word::RolledBack { see_to_the_rest(sitting, &mut outcome).await } else { None };
    let host = fresh.as_ref().unwrap_or(host);
    aftercare::complete(host, &mut outcome).await;
    if outcome.exit == Aftermath::Left.code() && attendance.facts.verb == "push" {
        aftercare::find_before(host, trial.movement.from.as_ref(), &mut outcome).await;
    }
    if let Some(fresh) = fresh {
        fresh.close().await;
    }
    Ok(outcome)
}

/// An undo is good when everything that passed before passes again, here as well. What
/// fails while the line is gone is asked once more, over a new connection, which is
/// returned; if there is none, nothing is known against the undo. Ctrl-C ends the wait for
/// one.
async fn see_to_the_rest(sitting: &Sitting<'_>, outcome: &mut Outcome) -> Option<Host> {
    let Sitting { attendance, trial, before, host, .. } = *sitting;
    let movement = &trial.movement;
    let (mut lost, mut there) = ask_again(movement, host, before).await;
    let mut fresh = None;
    if !there {
        let message = format!("{}: the connection was lost; connecting again", movement.vm);
        attendance.events.send(Event::Warning { message });
        if let Some(Ok(again)) = unless(&attendance.interrupted, attendance.ways.connect()).await {
            (lost, there) = ask_again(movement, &again, before).await;
            fresh = Some(again);
        }
    }
    if !there {
        outcome.detail = Some(not_asked(&lost));
        return fresh;
    }
    if !lost.is_empty() {
        outcome.result = Word::Failed;
        outcome.exit = Aftermath::Unknown.code();
        let met = |check: &CheckResult| format!(" ({})", check.note.as_deref().unwrap_or("failed"));
        outcome.detail = Some(format!(
            "what ran before runs again, but this passed before and does not now: {}",
            names(&lost, met)
        ));
    }
    fresh
}

/// What passed before and does not now, and whether the line was there to find that out. What
/// fails is asked once more where it is: it may have been gone meanwhile and be back.
async fn ask_again(movement: &Move, host: &Host, before: &judge::Before) -> (Vec<CheckResult>, bool) {
    let way = probe::way(host, movement);
    let mut lost = judge::lost(movement, &way, before).await;
    let mut there = lost.is_empty() || host.answers().await;
    if there && !lost.is_empty() {
        lost = judge::lost(movement, &way, before).await;
        there = lost.is_empty() || host.answers().await;
    }
    (lost, there)
}

/// What is said of checks after an undo that the hypervisor has found good, while nobody
/// could ask them.
fn not_asked(lost: &[CheckResult]) -> String {
    format!(
        "what ran before runs again, but the connection was lost, and whether this passes again is not known: {}",
        names(lost, |_| String::new())
    )
}

fn names(checks: &[CheckResult], more: impl Fn(&CheckResult) -> String) -> String {
    let name = |check: &CheckResult| {
        let CheckResult { name, from, .. } = check;
        format!("{name} from {from}{}", more(check))
    };
    checks.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The deadlines of the transaction and a minute: so long it is worth connecting again. One
/// who is connected follows to the end, however long a guest takes.
fn patience(trial: &OnTrial) -> Duration {
    let deadlines = trial.movement.deadlines;
    let checks: u32 = trial.movement.checks.iter().map(|c| c.within).sum();
    let switches = trial.movement.system.as_ref().map_or(0, |system| 2 * system.seconds);
    Duration::from_secs(u64::from(2 * deadlines.boot + 2 * checks + deadlines.verdict + switches) + 60)
}

pub(super) fn outcome_of(trial: &OnTrial, ended: Ended, laptop: Vec<CheckResult>) -> Outcome {
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
    outcome.to = Some(trial.movement.to.clone());
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

#[cfg(test)]
#[path = "deploy_tests.rs"]
mod tests;
