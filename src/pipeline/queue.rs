//! Waiting for others who work on the same VMs, where the user said for how long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Context, look};
use crate::error::Result;
use crate::host::{Host, clock};
use crate::model::event::Event;
use crate::model::name::VmName;
use crate::model::observed::Observed;
use crate::model::outcome::{Outcome, Word};
use crate::model::store_path::StorePath;
use crate::stage::observe;

/// How long the user still wants to wait.
#[derive(Debug, Clone, Default)]
pub struct Patience(Arc<Mutex<Duration>>);

/// Between two looks at a lock.
const PAUSE: Duration = Duration::from_secs(1);

impl Patience {
    /// So long at most, all in all.
    pub fn allow(&self, most: Option<Duration>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = most.unwrap_or_default();
    }

    fn left(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a little; false when there is no time left for that.
    async fn pause(&self) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        let began = clock::moment();
        tokio::time::sleep(PAUSE.min(left)).await;
        self.allow(Some(left.saturating_sub(began.elapsed())));
        true
    }
}

/// Waits until nobody else works on these VMs, or until the user's patience is over, and
/// then looks again; `wanted` is what comes along, as for [`look::look`].
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn wait(
    context: &Context,
    host: &Host,
    vms: &[VmName],
    wanted: &[(VmName, StorePath)],
    observed: Observed,
) -> Result<Observed> {
    let locked =
        |observed: &Observed, vm: &VmName| observed.vms.get(vm).is_some_and(|found| found.locked.is_some());
    let is_busy =
        |vm: &VmName| locked(&observed, vm) || observed.open.iter().any(|open| open.vm == vm.as_str());
    if context.patience.left().is_zero() || !vms.iter().any(is_busy) {
        return Ok(observed);
    }
    let mut told = Vec::new();
    loop {
        let holders = observe::holders(host, vms).await?;
        for (vm, holder) in &holders {
            if !told.contains(&(vm.clone(), holder.clone())) {
                let seconds = context.patience.left().as_secs();
                let message = format!("{vm} is locked by {holder}: waiting, for at most {seconds} s");
                context.events.send(Event::Warning { message });
            }
        }
        if holders.is_empty() {
            // Whoever had to become root has.
            let observed = look::look(context, host, None, wanted).await?;
            // Somebody else who waited may have been faster.
            if !vms.iter().any(|vm| locked(&observed, vm)) || !context.patience.pause().await {
                return Ok(observed);
            }
            continue;
        }
        told = holders;
        if !context.patience.pause().await {
            return look::look(context, host, None, wanted).await;
        }
    }
}

/// The VMs to plan again because somebody else came first after the plan was made: all
/// that did not succeed, if nothing else went wrong and the user still waits.
pub async fn again(context: &Context, outcomes: &[Outcome]) -> Vec<VmName> {
    let overtaken = |outcome: &&Outcome| {
        outcome.result == Word::Refused
            && matches!(outcome.reason.as_deref(), Some("locked" | "plan-outdated" | "unfinished-before"))
    };
    let not_reached = |outcome: &&Outcome| outcome.result == Word::Skipped && outcome.exit == 13;
    let bad = || outcomes.iter().filter(|outcome| outcome.exit != 0);
    let only_that = bad().any(|o| overtaken(&o)) && bad().all(|o| overtaken(&o) || not_reached(&o));
    if !only_that || *context.interrupted.borrow() || !context.patience.pause().await {
        return Vec::new();
    }
    bad().map(|outcome| outcome.name.clone()).collect()
}
