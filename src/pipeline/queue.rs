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
    if context.patience.left().is_zero() || !is_busy(&observed, vms) {
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
            if !is_busy(&observed, vms) || !context.patience.pause().await {
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

/// Whether somebody works on one of these. One that died is nobody, whatever it left open.
fn is_busy(observed: &Observed, vms: &[VmName]) -> bool {
    let locked = |vm| observed.vms.get(vm).is_some_and(|found| found.locked.is_some());
    let open = |vm: &VmName| observed.open.iter().any(|open| open.alive && open.vm == vm.as_str());
    vms.iter().any(|vm| locked(vm) || open(vm))
}

/// The VMs to plan again because somebody else came first after the plan was made: all
/// that did not succeed, if nothing else went wrong and the user still waits.
pub async fn again(context: &Context, outcomes: &[Outcome]) -> Vec<VmName> {
    let overtaken = |outcome: &&Outcome| {
        outcome.result == Word::Refused
            && matches!(
                outcome.reason.as_deref(),
                Some("locked" | "vm-locked" | "plan-outdated" | "unfinished-before")
            )
    };
    let not_reached = |outcome: &&Outcome| outcome.result == Word::Skipped && outcome.exit == 13;
    let bad = || outcomes.iter().filter(|outcome| outcome.exit != 0);
    let only_that = bad().any(|o| overtaken(&o)) && bad().all(|o| overtaken(&o) || not_reached(&o));
    if !only_that || *context.interrupted.borrow() || !context.patience.pause().await {
        return Vec::new();
    }
    bad().map(|outcome| outcome.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::host::keyring::Keyring;
    use crate::model::event::Events;
    use crate::model::observed::OpenTransaction;
    use crate::pipeline::Footprint;

    #[test]
    fn the_hypervisor_is_busy_while_it_is_switched() {
        let host = [VmName::host()];
        let with = |vm: &str, alive| Observed {
            open: vec![OpenTransaction { id: "t-1".to_owned(), vm: vm.to_owned(), alive }],
            ..Observed::default()
        };
        assert!(is_busy(&with("_host", true), &host));
        assert!(!is_busy(&with("_host", false), &host) && !is_busy(&with("vm1", true), &host));
    }

    #[tokio::test]
    async fn who_was_overtaken_has_another_turn() {
        let (_first, interrupted) = tokio::sync::watch::channel(false);
        let context = Context {
            events: Events::channel().0,
            interrupted,
            footprint: Footprint::default(),
            patience: Patience::default(),
            keyring: Arc::new(Keyring::default()),
            cache: None,
        };
        context.patience.allow(Some(Duration::from_mins(1)));
        for (reason, another) in
            [("locked", true), ("vm-locked", true), ("plan-outdated", true), ("closure-missing", false)]
        {
            let mut outcome = Outcome::new(VmName::host(), Word::Refused, 12);
            outcome.reason = Some(reason.to_owned());
            assert_eq!(again(&context, &[outcome]).await.len(), usize::from(another), "{reason}");
        }
    }
}
