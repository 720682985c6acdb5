//! The rounds of a command that waits for others: what they had changed by the time that
//! it was its turn is planned again, and asked about again.

use super::args::Queue;
use super::session::Session;
use crate::error::Result;
use crate::model::outcome::{Outcome, exit_code};
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
        let outcomes = match round(typed).await {
            Ok(Some(outcomes)) => outcomes,
            Ok(None) => return Ok(0),
            Err(failure) if all.is_empty() => return Err(failure),
            Err(failure) => {
                // The others have their outcomes, and these are refused, as they were.
                session.reporter.failure(&failure);
                Vec::new()
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
