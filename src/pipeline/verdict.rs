//! The laptop's verdict on one switch: watches how far the transaction is, runs the
//! laptop's checks, and hands in what came of them, or the user's Ctrl-C.

use tokio::sync::watch;

use super::attendance::Attendance;
use crate::host::{Host, probe};
use crate::model::check::{CheckResult, Expect};
use crate::model::event::Event;
use crate::stage::judge::{self, Verdict};
use crate::stage::switch::{Line, OnTrial};

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Begun.
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

/// Notes what a line says of the progress.
pub fn note(progress: &watch::Sender<Progress>, line: &Line) {
    let Line::Step(step, _) = line else { return };
    let reached = Progress::of(step);
    progress.send_if_modified(|now| {
        let further = reached > *now;
        *now = (*now).max(reached);
        further
    });
}

/// Waits until a step is reached; false when the transaction ends before.
async fn reached(progress: &mut watch::Receiver<Progress>, wanted: Progress) -> bool {
    progress.wait_for(|now| *now >= wanted).await.is_ok_and(|now| *now == wanted || *now < Progress::Over)
}

/// What a verdict is made with.
pub struct Court<'a> {
    /// Everything about the command.
    pub attendance: &'a Attendance<'a>,
    /// The connection at hand.
    pub host: &'a Host,
    /// The switch.
    pub trial: &'a OnTrial,
    /// How its checks fared before.
    pub before: &'a judge::Before,
}

impl Court<'_> {
    /// Waits until the VM is up, runs the laptop's checks, waits until the hypervisor's
    /// hold, and hands the verdict in.
    pub async fn sit(&self, progress: watch::Receiver<Progress>, results: &mut Vec<CheckResult>) {
        let Attendance { events, facts, .. } = *self.attendance;
        let (id, vm) = (&self.trial.transaction, &self.trial.movement.vm);
        let mut interrupted = self.attendance.interrupted.clone();
        let mut over = progress.clone();
        let verdict = tokio::select! {
            verdict = self.deliberate(progress, results) => verdict,
            // What is decided needs no more checks: they would ask what ran before.
            _ = over.wait_for(|now| *now == Progress::Over) => None,
            _ = interrupted.wait_for(|yes| *yes) => {
                let doing = match facts.verb {
                    "push" | "rollback" | "host-push" | "host-rollback" => "asking the hypervisor to undo it",
                    _ => "asking the hypervisor to leave it as it is",
                };
                let message = format!(
                    "{vm}: interrupted: {doing}, and waiting for that; Ctrl-C again leaves at once, and the \
                     hypervisor finishes or undoes it by itself"
                );
                events.send(Event::Warning { message });
                Some(Verdict::Interrupted)
            }
        };
        let handed = match verdict {
            None => return,
            Some(Verdict::Commit) => {
                judge::hand_in(self.host, self.attendance.ways.moved, id, Verdict::Commit, results).await
            }
            Some(other) => judge::ask_to_undo(self.host, id, other, results).await,
        };
        if let Err(failure) = handed {
            // Without a verdict the hypervisor undoes; its record will say so.
            let message = format!("{vm}: the verdict could not be handed in: {}", failure.message);
            events.send(Event::Warning { message });
        }
    }

    /// The verdict; none where it is decided before. What must be refused comes after all
    /// that must not.
    async fn deliberate(
        &self,
        mut progress: watch::Receiver<Progress>,
        results: &mut Vec<CheckResult>,
    ) -> Option<Verdict> {
        let Attendance { events, facts, .. } = *self.attendance;
        let movement = &self.trial.movement;
        let way = &probe::way(self.host, movement);
        if !reached(&mut progress, Progress::Booted).await {
            return None;
        }
        let bad = if facts.keep_failed { Verdict::KeepFailed } else { Verdict::CheckFailed };
        judge::checks(movement, Expect::Ok, way, self.before, events, results).await;
        if !results.iter().all(judge::is_good) {
            return Some(bad);
        }
        if self.trial.agree
            && let Err(failure) = judge::agree(self.host, &self.trial.transaction).await
        {
            // It waits in vain, and undoes.
            events.send(Event::Warning { message: format!("{}: {}", movement.vm, failure.message) });
        }
        if movement.expects_elsewhere(Expect::Refused) {
            if !reached(&mut progress, Progress::Positive).await {
                return None;
            }
            judge::checks(movement, Expect::Refused, way, self.before, events, results).await;
            if !results.iter().all(judge::is_good) {
                return Some(bad);
            }
        }
        reached(&mut progress, Progress::Waiting).await.then_some(Verdict::Commit)
    }
}
