//! Carrying out a plan: copy, switch one after another, let go of what was held.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Context;
use super::attendance::Attendance;
use super::line::{self, After};
use super::reconnect::Ways;
use super::runners::There;
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, identity};
use crate::model::address::Address;
use crate::model::event::Event;
use crate::model::inventory::FlakeFacts;
use crate::model::name::TransactionId;
use crate::model::outcome::Outcome;
use crate::model::plan::{Move, Plan};
use crate::model::store_path::StorePath;
use crate::stage::Copied;
use crate::stage::copy;
pub use crate::stage::copy::{PassThrough, SigningKey};
use crate::stage::switch::Facts;

/// Longest time to connect once more for what need not be done.
const ONE_TRY: Duration = Duration::from_secs(5);

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
    /// Where it can be reached when the change has moved it (`--confirm-from`).
    pub moved: Option<&'a Address>,
}

impl Site<'_> {
    fn ways(&self) -> Ways<'_> {
        Ways { first: self.host, address: self.address, moved: self.moved }
    }
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

/// Carries out a plan that came from a flake, by this verb. What is `there` is not copied.
///
/// # Errors
/// 12 or 20 when the closures do not get there; after that every VM has an outcome.
pub async fn push(
    context: &Context,
    site: &Site<'_>,
    plan: &Plan,
    after: &After,
    (verb, flake): (&'static str, FlakeFacts),
    there: &There,
    manner: &Manner,
) -> Result<Vec<Outcome>> {
    let id = identity::new_id().ok_or_else(|| Failure::bug("could not make an id"))?;
    let moves: Vec<Move> = plan.moves.iter().filter(|m| m.changes()).cloned().collect();
    if !moves.is_empty() {
        context.footprint.sends();
    }
    let pending = (!moves.is_empty()).then_some(&id);
    let copying = copy::copy(site.host, &id, moves, there.runners(), &manner.pass, &context.events);
    let copied = context.unless_interrupted(Aftermath::StoreOnly, copying).await;
    if copied.is_err() && *context.interrupted.borrow() && site.host.is_alive().await {
        // What cannot be let go of now, the next push drops after a day.
        let _ = copy::unpend(site.host, &id).await;
    }
    let copied = copied?;
    Ok(carry_out(context, site, plan, after, (verb, flake, copied), (manner, pending)).await)
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
    let work = (verb, FlakeFacts::default(), copied);
    carry_out(context, site, plan, &After::default(), work, (manner, None)).await
}

async fn carry_out(
    context: &Context,
    site: &Site<'_>,
    plan: &Plan,
    after: &After,
    (verb, flake, copied): (&'static str, FlakeFacts, Vec<Copied>),
    (manner, pending): (&Manner, Option<&TransactionId>),
) -> Vec<Outcome> {
    let mut fresh = None;
    let mut outcomes: Vec<Outcome> = plan.moves.iter().filter_map(line::untouched).collect();
    if !copied.is_empty() {
        context.events.send(match verb {
            "host-push" | "host-rollback" => Event::Phase { name: "switch-host", total: None },
            _ => Event::Phase { name: "switch", total: Some(copied.len() as u64) },
        });
        let facts = Facts { verb, who: identity::who().await, flake, keep_failed: manner.keep_failed };
        let attendance = Attendance {
            host: site.host,
            ways: site.ways(),
            facts: &facts,
            events: &context.events,
            footprint: &context.footprint,
            interrupted: context.interrupted.clone(),
        };
        let (switched, renewed) = line::run(&attendance, copied, after, manner.at_once).await;
        outcomes.extend(switched);
        fresh = renewed;
    }
    let heard = context.footprint.heard();
    if pending.is_some() || !heard.is_empty() {
        settle(context, site, fresh, pending, &heard).await;
    }
    line::in_plan_order(plan, outcomes)
}

/// Lets go of what was held, over a connection that is alive.
async fn settle(
    context: &Context,
    site: &Site<'_>,
    mut fresh: Option<Host>,
    pending: Option<&TransactionId>,
    heard: &[String],
) {
    if !fresh.as_ref().unwrap_or(site.host).is_alive().await {
        // Once is enough: what stays behind is only a root that the next push drops after
        // a day. Whoever has pressed Ctrl-C does not wait long for that.
        let connecting = site.ways().connect();
        fresh = match *context.interrupted.borrow() {
            true => tokio::time::timeout(ONE_TRY, connecting).await.ok().and_then(Result::ok),
            false => connecting.await.ok(),
        };
    }
    if let Err(failure) = copy::settle(fresh.as_ref().unwrap_or(site.host), pending, heard).await {
        context.events.send(Event::Warning { message: failure.message });
    }
    if let Some(host) = fresh {
        host.close().await;
    }
}
