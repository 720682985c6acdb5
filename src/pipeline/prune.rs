//! prune: old generations go, and with them what only they held in the store.

use std::collections::{BTreeMap, BTreeSet};

use super::past::{Looked, open};
use super::{Context, Target};
use crate::error::Result;
use crate::model::name::{VmName, Word};
use crate::model::old::{Listing, Old};
use crate::plan::select;
use crate::stage::prune;

/// What may go, and the open connection.
pub struct Prunable {
    /// The connection.
    pub looked: Looked,
    /// What may go.
    pub listing: Listing,
}

/// Looks for generations of the chosen VMs that are old when the `keep` newest stay.
///
/// # Errors
/// 2 for a word that means no VM there, 11 when the hypervisor cannot be reached.
pub async fn look(
    context: &Context,
    target: &Target,
    typed: &[String],
    tags: &BTreeMap<VmName, Vec<Word>>,
    keep: u32,
) -> Result<Prunable> {
    let looked = open(context, target).await?;
    let there: BTreeSet<VmName> = looked.observed.vms.keys().cloned().collect();
    let chosen = select::among(typed, &there, tags)?;
    let listing = prune::list(&looked.host, keep, &chosen).await?;
    Ok(Prunable { looked, listing })
}

/// Drops what was listed, but nothing that has come into use since.
///
/// # Errors
/// 11 when the hypervisor cannot be asked, 12 when something could not be dropped.
pub async fn carry_out(prunable: &Prunable, keep: u32) -> Result<Vec<(VmName, Old)>> {
    let some = prunable.listing.vms.iter().filter(|(_, old)| !old.numbers().is_empty());
    let some: Vec<_> = some.map(|(vm, old)| (vm.clone(), old.numbers().to_vec())).collect();
    prune::drop(&prunable.looked.host, keep, &some).await
}
