//! pin and unpin.

use super::past::open;
use super::{Context, Target};
use crate::error::{Failure, Result};
use crate::model::name::VmName;
use crate::plan::{generations, select};
use crate::stage::pin;

/// Keeps a generation from `prune`, or with `keep` false lets it go. Returns whether
/// that changed anything.
///
/// # Errors
/// 2 for a VM or a generation that there is not, 11 and 12 as for every command.
pub async fn keep(context: &Context, target: &Target, vm: &VmName, number: u64, keep: bool) -> Result<bool> {
    let looked = open(context, target).await?.in_turn(context, std::slice::from_ref(vm)).await?;
    let Some(found) = looked.observed.vms.get(vm) else {
        return Err(select::unknown(vm.as_str(), &looked.known()));
    };
    if keep || !found.pins.contains(&number) {
        // For the list in the failure, if there is no such generation.
        generations::previous(vm, found, &looked.observed.ledger, Some(number))?;
    }
    let changed = pin::pin(&looked.host, vm, number, keep).await?;
    looked.host.close().await;
    changed.ok_or_else(|| Failure::usage(format!("{vm} has no generation {number} any more")))
}
