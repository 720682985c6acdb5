//! The guard against going back unawares: a push is refused where what it would replace
//! came from a commit that the wish does not contain. A commit that the repository does
//! not have is not contained either: whatever the wish contains is there, unless the
//! clone is shallow; only then, and where there is no repository, can nobody tell.

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::Result;
use crate::host::git;
use crate::model::inventory::FlakeFacts;
use crate::model::observed::Observed;
use crate::plan::behind::{Lineage, Origin, origins};
use crate::plan::decide::Wish;

/// Marks the wishes that are behind what their VMs have; with `force`, only says so.
/// Returns what the user should read before saying yes.
///
/// # Errors
/// 10 when the repository cannot be read.
pub fn guard(
    flake: &FlakeFacts,
    observed: &Observed,
    wishes: &mut [Wish],
    force: bool,
) -> Result<Vec<String>> {
    let repository = repository(&flake.reference);
    let wish_of = flake.revision.as_deref();
    let mut remarks = Vec::new();
    for wish in wishes {
        let Some(found) = observed.vms.get(&wish.vm) else { continue };
        for origin in origins(&wish.vm, &wish.runner, found, &observed.ledger) {
            let lineage = lineage(repository.as_deref(), wish_of, &origin)?;
            let Some(remark) = origin.remark(lineage, wish_of) else { continue };
            if lineage == Lineage::Missing && !force {
                wish.behind =
                    Some(format!("{remark}: fetch and merge that commit first, or say --force-behind"));
            } else {
                remarks.push(format!("{}: {remark}", wish.vm));
            }
        }
    }
    Ok(remarks)
}

fn lineage(repository: Option<&Utf8Path>, wish: Option<&str>, origin: &Origin) -> Result<Lineage> {
    let Some(wish) = wish else { return Ok(Lineage::Unknown) };
    if wish == origin.revision {
        return Ok(Lineage::Contained);
    }
    let Some(repository) = repository else { return Ok(Lineage::Unknown) };
    Ok(match git::contains(repository, wish, &origin.revision)? {
        Some(true) => Lineage::Contained,
        Some(false) => Lineage::Missing,
        None => Lineage::Unknown,
    })
}

/// The directory of a flake that is here.
pub(super) fn repository(reference: &str) -> Option<Utf8PathBuf> {
    let path = ["git+file://", "git+file:"].iter().find_map(|p| reference.strip_prefix(p));
    let path = path.unwrap_or(reference).split('?').next().unwrap_or_default();
    path.starts_with('/').then(|| Utf8PathBuf::from(path))
}
