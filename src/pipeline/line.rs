//! The line of switches: one VM after another, or several at a time; the first that
//! fails stops the line, and what was verified stays.

use std::collections::BTreeSet;

use super::attendance::Attendance;
use super::deploy::deploy;
use super::interruption::unless;
use crate::error::{Aftermath, Failure, Result};
use crate::host::Host;
use crate::model::name::VmName;
use crate::model::outcome::{Outcome, Word};
use crate::model::plan::{How, Move, Plan};
use crate::stage::Copied;

/// What is not switched at all: left alone or refused.
pub fn untouched(movement: &Move) -> Option<Outcome> {
    let mut outcome = match &movement.how {
        How::Keep => Outcome::new(movement.vm.clone(), Word::Unchanged, 0),
        How::Refuse(reason) => {
            let mut outcome = Outcome::new(movement.vm.clone(), Word::Refused, 12);
            outcome.detail = Some(reason.clone());
            outcome
        }
        _ => return None,
    };
    outcome.from = movement.from.clone();
    outcome.to = Some(movement.to.clone());
    Some(outcome)
}

/// Switches in order, at most `at_once` at a time. A VM waits for those that it comes
/// `after`. Also returns the connection that was made anew, if one was lost.
pub async fn run(
    attendance: &Attendance<'_>,
    copied: Vec<Copied>,
    after: &After,
    at_once: usize,
) -> (Vec<Outcome>, Option<Host>) {
    let mut waiting: Vec<Copied> = copied;
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut fresh: Option<Host> = None;
    while !waiting.is_empty() {
        let mut lost = None;
        let mut stop = stops(attendance, &outcomes);
        if stop.is_none() {
            lost = renew(attendance, &mut fresh).await.err();
            // That may have taken long.
            stop = stops(attendance, &outcomes);
        }
        if let Some(why) = stop {
            outcomes.extend(waiting.drain(..).map(|c| not_reached(c.movement(), why)));
            break;
        }
        if let Some(failure) = lost {
            outcomes.extend(waiting.drain(..).map(|c| unreachable(c.movement(), &failure)));
            break;
        }
        let open: BTreeSet<VmName> = waiting.iter().map(|c| c.movement().vm.clone()).collect();
        let mut batch = Vec::new();
        let mut rest = Vec::new();
        for next in waiting {
            let ready = after.of(&next.movement().vm).all(|vm| !open.contains(vm));
            if ready && batch.len() < at_once.max(1) { batch.push(next) } else { rest.push(next) }
        }
        waiting = rest;
        if batch.is_empty() {
            // The order has no cycles (plan::order); this is a way out, not a case.
            batch.append(&mut waiting);
        }
        let attendance = Attendance { host: fresh.as_ref().unwrap_or(attendance.host), ..attendance.clone() };
        outcomes.extend(together(&attendance, batch).await);
    }
    (outcomes, fresh)
}

/// Why nothing more is begun, if so.
fn stops(attendance: &Attendance<'_>, outcomes: &[Outcome]) -> Option<Aftermath> {
    if *attendance.interrupted.borrow() {
        return Some(attendance.footprint.interrupted());
    }
    outcomes.iter().any(|o| o.exit != 0).then_some(Aftermath::NotReached)
}

/// A connection that was lost during the last switch is made anew before the next. Ctrl-C
/// ends that.
async fn renew(attendance: &Attendance<'_>, fresh: &mut Option<Host>) -> Result<()> {
    let connecting = async {
        match fresh.as_ref().unwrap_or(attendance.host).is_alive().await {
            true => Ok(None),
            false => attendance.ways.connect().await.map(Some),
        }
    };
    if let Some(renewed) = unless(&attendance.interrupted, connecting).await.transpose()?.flatten() {
        *fresh = Some(renewed);
    }
    Ok(())
}

fn unreachable(movement: &Move, failure: &Failure) -> Outcome {
    let mut outcome = not_reached(movement, failure.aftermath);
    outcome.detail = Some(format!("not reached: {}", failure.message));
    outcome
}

/// A batch at the same time, in one task: the work is on the hypervisor.
async fn together(attendance: &Attendance<'_>, batch: Vec<Copied>) -> Vec<Outcome> {
    let futures: Vec<_> = batch.into_iter().map(|copied| Box::pin(deploy(attendance, copied))).collect();
    join_all(futures).await
}

/// Drives several futures to their ends and keeps their order.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(outputs.iter_mut()) {
            if output.is_none()
                && let std::task::Poll::Ready(value) = std::pin::Pin::new(future).poll(context)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

fn not_reached(movement: &Move, why: Aftermath) -> Outcome {
    let mut outcome = Outcome::new(movement.vm.clone(), Word::Skipped, why.code());
    outcome.from = movement.from.clone();
    outcome.to = Some(movement.to.clone());
    outcome.detail = Some("not reached: the line stopped before it".to_owned());
    outcome
}

/// Which VMs come after which.
#[derive(Debug, Clone, Default)]
pub struct After(pub std::collections::BTreeMap<VmName, Vec<VmName>>);

impl After {
    fn of(&self, vm: &VmName) -> impl Iterator<Item = &VmName> {
        self.0.get(vm).into_iter().flatten()
    }
}

/// Puts outcomes into the order of the plan.
pub fn in_plan_order(plan: &Plan, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    let place = |vm: &VmName| plan.moves.iter().position(|m| m.vm == *vm).unwrap_or(usize::MAX);
    outcomes.sort_by_key(|o| place(&o.name));
    outcomes
}
