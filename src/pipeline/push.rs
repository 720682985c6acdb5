//! Carrying out a plan: copy, switch one after another, let go of what was held.

use std::collections::BTreeSet;

use super::Context;
use super::deploy::Attendance;
use super::line::{self, After};
use super::runners::There;
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, identity};
use crate::model::address::Address;
use crate::model::event::Event;
use crate::model::inventory::FlakeFacts;
use crate::model::outcome::Outcome;
use crate::model::plan::{Move, Plan};
use crate::model::store_path::StorePath;
use crate::stage::Copied;
use crate::stage::copy;
pub use crate::stage::copy::{PassThrough, SigningKey};
use crate::stage::switch::Facts;

/// How to carry it out.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// Leave a VM that fails as it is.
    pub keep_failed: bool,
    /// Switches at the same time.
    pub at_once: usize,
    /// What the user hands through to Nix.
    pub pass: PassThrough,
}

/// The hypervisor that a plan was made for.
pub struct Site<'a> {
    /// The open connection.
    pub host: &'a Host,
    /// To connect again when it is lost.
    pub address: &'a Address,
}

/// Refuses a plan whose closures the hypervisor's Nix would not take from us.
///
/// # Errors
/// 12 with what to do about it; 11 when the hypervisor cannot be asked.
pub async fn admit(host: &Host, plan: &Plan, there: &There, pass: &PassThrough) -> Result<()> {
    let to_send = plan.moves.iter().filter(|m| m.changes()).map(|m| m.to.clone());
    let to_send: BTreeSet<StorePath> = to_send.filter(|to| !there.runners().contains(to)).collect();
    copy::admit(host, &to_send.into_iter().collect::<Vec<_>>(), pass).await
}

/// Carries out a plan that came from a flake. What is `there` is not copied.
///
/// # Errors
/// 12 or 20 when the closures do not get there; after that every VM has an outcome.
pub async fn push(
    context: &Context,
    site: &Site<'_>,
    plan: &Plan,
    after: &After,
    flake: FlakeFacts,
    there: &There,
    manner: &Manner,
) -> Result<Vec<Outcome>> {
    let id = identity::new_id().ok_or_else(|| Failure::bug("could not make an id"))?;
    let moves: Vec<Move> = plan.moves.iter().filter(|m| m.changes()).cloned().collect();
    let something = !moves.is_empty();
    let copying = copy::copy(site.host, &id, moves, there.runners(), &manner.pass, &context.events);
    let copied = context.unless_interrupted(Aftermath::StoreOnly, copying).await?;
    let outcomes = carry_out(context, site, plan, after, ("push", flake, copied), manner).await;
    // What stays behind is only a root that the next push drops after a day.
    if something && let Err(failure) = copy::unpend(site.host, &id).await {
        context.events.send(Event::Warning { message: failure.message });
    }
    Ok(outcomes)
}

/// Carries out a plan whose closures are on the hypervisor anyway.
pub async fn without_copying(
    context: &Context,
    site: &Site<'_>,
    plan: &Plan,
    verb: &'static str,
    manner: &Manner,
) -> Vec<Outcome> {
    let moves: Vec<Move> = plan.moves.iter().filter(|m| m.changes()).cloned().collect();
    let copied = copy::already_there(moves);
    carry_out(context, site, plan, &After::default(), (verb, FlakeFacts::default(), copied), manner).await
}

async fn carry_out(
    context: &Context,
    site: &Site<'_>,
    plan: &Plan,
    after: &After,
    (verb, flake, copied): (&'static str, FlakeFacts, Vec<Copied>),
    manner: &Manner,
) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = plan.moves.iter().filter_map(line::untouched).collect();
    if !copied.is_empty() {
        context.events.send(Event::Phase { name: "switch", total: Some(copied.len() as u64) });
        let facts = Facts { verb, who: identity::who().await, flake, keep_failed: manner.keep_failed };
        let attendance = Attendance {
            host: site.host,
            address: site.address,
            facts: &facts,
            events: &context.events,
            interrupted: context.interrupted.clone(),
        };
        outcomes.extend(line::run(&attendance, copied, after, manner.at_once).await);
    }
    line::in_plan_order(plan, outcomes)
}
