//! The rounds of a command that waits for others: what they had changed by the time that
//! it was its turn is planned again, and asked about again.

use super::args::Queue;
use super::session::Session;
use crate::error::{Aftermath, Failure, Result};
use crate::model::outcome::{Outcome, Word, exit_code};
use crate::pipeline::queue::again;

/// Runs rounds of a command about the VMs that were typed until nobody came first, or the
/// user's patience is over, and says how all of it ended. A round returns nothing when it
/// has said everything itself.
///
/// # Errors
/// The first round's own failure.
pub async fn rounds(
    session: &Session<'_>,
    queue: &Queue,
    mut typed: Vec<String>,
    mut round: impl AsyncFnMut(Vec<String>) -> Result<Option<Vec<Outcome>>>,
) -> Result<u8> {
    session.context.patience.allow(queue.wait);
    let mut all: Vec<Outcome> = Vec::new();
    loop {
        let outcomes = match round(typed.clone()).await {
            Ok(Some(outcomes)) => outcomes,
            Ok(None) => return Ok(0),
            Err(failure) if all.is_empty() => return Err(failure),
            Err(failure) => {
                let failure = later(failure, session.context.footprint.interrupted());
                session.reporter.failure(&failure);
                let tried = all.iter().filter(|known| typed.iter().any(|vm| *vm == known.name.as_str()));
                tried.map(|known| failed(known, &failure)).collect()
            }
        };
        typed = again(&session.context, &outcomes).await.iter().map(ToString::to_string).collect();
        for outcome in outcomes {
            match all.iter_mut().find(|known| known.name == outcome.name) {
                Some(known) => *known = outcome,
                None => all.push(outcome),
            }
        }
        if typed.is_empty() {
            let exit = exit_code(&all);
            session.reporter.summary(exit, &all);
            return Ok(exit);
        }
    }
}

/// Whatever fails now does not say that nothing was touched in the rounds before.
fn later(failure: Failure, interrupted: Aftermath) -> Failure {
    match failure.aftermath {
        Aftermath::Declined => failure.after(interrupted),
        _ => failure,
    }
    .later()
}

/// What becomes of a VM whose turn has come, when the round fails as a whole: the others
/// have their outcomes, and this one the failure's.
fn failed(known: &Outcome, failure: &Failure) -> Outcome {
    let result = match failure.aftermath {
        Aftermath::Refused => Word::Refused,
        Aftermath::NotReached | Aftermath::Declined => Word::Skipped,
        _ => Word::Failed,
    };
    Outcome {
        result,
        exit: failure.aftermath.code(),
        reason: None,
        detail: Some(failure.message.clone()),
        ..known.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error, the summary and the exit code of the process say the same.
    #[test]
    fn a_later_round_that_fails_has_the_last_word() {
        let name = |name: &str| name.parse().unwrap();
        let deployed = Outcome::new(name("vm1"), Word::Deployed, 0);
        let mut locked = Outcome::new(name("vm2"), Word::Refused, 12);
        locked.reason = Some("locked".to_owned());
        for (aftermath, touched, result, code) in [
            (Aftermath::StoreOnly, Aftermath::NotReached, Word::Failed, 20),
            (Aftermath::NotBuilt, Aftermath::NotReached, Word::Failed, 10),
            (Aftermath::Refused, Aftermath::NotReached, Word::Refused, 12),
            (Aftermath::Declined, Aftermath::NotReached, Word::Skipped, 13),
            (Aftermath::Declined, Aftermath::Declined, Word::Skipped, 130),
        ] {
            let failure = later(Failure::new(aftermath, "on purpose"), touched);
            let outcome = failed(&locked, &failure);
            assert_eq!((outcome.result, outcome.exit), (result, code));
            assert_eq!((outcome.reason.as_deref(), outcome.detail.as_deref()), (None, Some("on purpose")));
            assert_eq!(failure.aftermath.code(), code);
            let state = failure.state().unwrap();
            assert!(!state.contains("nothing was") && !state.contains("no VM was"), "{code}: {state}");
            let sent = failure.clone().sent().state().unwrap();
            assert!(!sent.contains("nothing was") && !sent.contains("no VM was"), "{code}: {sent}");
            assert_eq!(exit_code(&[deployed.clone(), outcome]), code);
        }
    }
}
