//! The laptop's verdict on one switch: watches how far the transaction is, runs the
//! laptop's checks, and hands in what came of them, or the user's Ctrl-C.

use std::time::Duration;

use tokio::sync::watch;

use super::attendance::Attendance;
use super::interruption::unless;
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, probe};
use crate::model::check::{CheckResult, Expect};
use crate::model::event::Event;
use crate::stage::judge::{self, Verdict};
use crate::stage::switch::{Line, OnTrial};

/// Time between two attempts to hand a verdict in.
const AGAIN: Duration = Duration::from_secs(1);

/// Longest time of an attempt to commit, so that one that hangs leaves room for others before
/// the deadline. The next may take twice as long: a login may be as slow as that.
const ATTEMPT: Duration = Duration::from_secs(10);

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

/// One attempt to hand in a commit; `None` where Ctrl-C ended it. Whichever reaches the
/// hypervisor first holds, and so one that is left does no harm.
async fn attempt<T>(
    interrupted: &watch::Receiver<bool>,
    limit: &mut Duration,
    handing: impl Future<Output = Result<T>>,
) -> Option<Result<T>> {
    let limited = async {
        tokio::time::timeout(*limit, handing).await.unwrap_or_else(|_| {
            let message = format!("no answer over a new connection within {} s", limit.as_secs());
            *limit *= 2;
            Err(Failure::new(Aftermath::Unreachable, message))
        })
    };
    unless(interrupted, limited).await
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
        let mut interrupted = self.attendance.interrupted.clone();
        let mut over = progress.clone();
        let verdict = tokio::select! {
            verdict = self.deliberate(progress, results) => verdict,
            // What is decided needs no more checks: they would ask what ran before.
            _ = over.wait_for(|now| *now == Progress::Over) => None,
            _ = interrupted.wait_for(|yes| *yes) => Some(self.withdraw()),
        };
        let Some(verdict) = verdict else { return };
        tokio::select! {
            () = self.hand_in(verdict, results) => {}
            _ = over.wait_for(|now| *now == Progress::Over) => {}
        }
    }

    /// Again and again, until it is there: an sshd drops connections when many come at
    /// once, and a transaction that is just being written down is not there yet. Who has
    /// handed one in is done; the first verdict holds.
    async fn hand_in(&self, mut verdict: Verdict, results: &[CheckResult]) {
        let Attendance { events, ways, .. } = *self.attendance;
        let (id, vm) = (&self.trial.transaction, &self.trial.movement.vm);
        let mut interrupted = self.attendance.interrupted.clone();
        let mut told = false;
        let mut limit = ATTEMPT;
        loop {
            let handed = match verdict {
                Verdict::Commit => {
                    let handing = judge::hand_in(self.host, ways.moved, id, verdict, results);
                    let Some(handed) = attempt(&interrupted, &mut limit, handing).await else {
                        verdict = self.withdraw();
                        continue;
                    };
                    handed
                }
                other => judge::ask_to_undo(self.host, id, other, results).await,
            };
            match handed {
                Ok(Some(_)) => return,
                Ok(None) => {}
                Err(failure) if !told => {
                    told = true;
                    // Without a verdict the hypervisor undoes; its record will say so.
                    let message = format!("{vm}: the verdict could not be handed in: {}", failure.message);
                    events.send(Event::Warning { message });
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                Ok(_) = interrupted.wait_for(|yes| *yes), if verdict == Verdict::Commit => {
                    verdict = self.withdraw();
                }
            }
        }
    }

    /// The verdict of a user who does not want it any more, and is told what that means.
    fn withdraw(&self) -> Verdict {
        self.attendance.events.send(Event::Warning { message: self.interruption() });
        Verdict::Interrupted
    }

    fn interruption(&self) -> String {
        let doing = match self.attendance.facts.verb {
            "push" | "rollback" | "host-push" | "host-rollback" => "asking the hypervisor to undo it",
            _ => "asking the hypervisor to leave it as it is",
        };
        format!(
            "{}: interrupted: {doing}, and waiting for that; Ctrl-C again leaves at once, and the \
             hypervisor finishes or undoes it by itself",
            self.trial.movement.vm
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_attempt_that_hangs_is_not_the_only_one() {
        let (_first, interrupted) = watch::channel(false);
        let mut limit = Duration::from_millis(20);
        let hangs = std::future::pending::<Result<()>>();
        let failure = attempt(&interrupted, &mut limit, hangs).await.unwrap().unwrap_err();
        assert_eq!((failure.aftermath, limit), (Aftermath::Unreachable, Duration::from_millis(40)));
        assert_eq!(attempt(&interrupted, &mut limit, async { Ok(1) }).await, Some(Ok(1)));
        assert_eq!(limit, Duration::from_millis(40));
    }

    #[tokio::test]
    async fn an_attempt_that_hangs_hears_ctrl_c() {
        let (first, interrupted) = watch::channel(false);
        let hangs = async {
            first.send_replace(true);
            std::future::pending::<Result<()>>().await
        };
        assert_eq!(attempt(&interrupted, &mut Duration::from_secs(600), hangs).await, None);
    }
}
