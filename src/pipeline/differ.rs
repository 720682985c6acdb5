//! Closure diffs by themselves: of what runs and what the flake wants, or of two
//! generations on the hypervisor.

use super::past::open;
use super::prepare::Prepared;
use super::{Context, Target};
use crate::error::{Aftermath, Failure, Result};
use crate::model::closure::{Closure, ClosureDiff};
use crate::model::name::VmName;
use crate::model::plan::Move;
use crate::model::store_path::StorePath;
use crate::plan::diff::{bytes_to_send, closure_diff};
use crate::plan::{generations, select};
use crate::report::Difference;
use crate::stage::observe;

/// What every VM of a plan runs against what it shall run.
pub fn with_flake(prepared: &Prepared) -> Vec<Difference> {
    prepared.plan.moves.iter().map(|movement| one(movement, prepared)).collect()
}

fn one(movement: &Move, prepared: &Prepared) -> Difference {
    let (vm, from, to) = (movement.vm.clone(), movement.from.clone(), movement.to.clone());
    if from.as_ref() == Some(&to) {
        return Difference { vm, from, to: Some(to), diff: ClosureDiff::default(), bytes_to_send: None };
    }
    let there = &prepared.observed.closures;
    let after = prepared.closures.get(&to).cloned().unwrap_or_default();
    let before = from.as_ref().and_then(|path| there.get(path)).cloned().unwrap_or_default();
    let known: Vec<&Closure> = there.values().collect();
    let bytes_to_send = Some(bytes_to_send(&after, &known));
    let diff = closure_diff(&before, &after);
    Difference { vm, from, to: Some(to), diff, bytes_to_send }
}

/// Two generations of a VM.
///
/// # Errors
/// 2 for a VM or a number that there is not, 12 when a closure was collected, 11 when the
/// hypervisor cannot be reached.
pub async fn between(
    context: &Context,
    target: &Target,
    vm: &VmName,
    (from, to): (u64, u64),
) -> Result<Difference> {
    let looked = open(context, target).await?;
    let Some(found) = looked.observed.vms.get(vm) else {
        return Err(select::unknown(vm.as_str(), &looked.known()));
    };
    let ledger = &looked.observed.ledger;
    let (_, before) = generations::previous(vm, found, ledger, Some(from))?;
    let (_, after) = generations::previous(vm, found, ledger, Some(to))?;
    let closures = observe::closures(&looked.host, &[before.clone(), after.clone()]).await?;
    let closure = |number: u64, path: &StorePath| {
        let there = closures.iter().find(|(p, _)| p == path).map(|(_, closure)| closure);
        there.ok_or_else(|| {
            let message = format!("generation {number} of {vm}, {path}, is not in the hypervisor's store");
            Failure::new(Aftermath::Refused, message)
        })
    };
    let diff = closure_diff(closure(from, &before)?, closure(to, &after)?);
    looked.host.close().await;
    Ok(Difference { vm: vm.clone(), from: Some(before), to: Some(after), diff, bytes_to_send: None })
}
