//! `deployvm prune`: away with old generations.

use serde::Serialize;

use super::args::{Global, Selection};
use super::push::approved;
use super::session::{self, Session};
use crate::error::{Aftermath, Result};
use crate::model::name::VmName;
use crate::model::old::{Listing, Old};
use crate::pipeline::prune;

/// Drop old generations, never one that is current, booted or pinned
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,

    /// How many stay: the newest, and as many verified ones to go back to [at least 2]
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..))]
    pub keep: u32,

    /// Only show what would go
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    session::run(global, false, async move |session| work(session, &args).await).await
}

/// What scripts read.
#[derive(Debug, Serialize)]
struct Pruned {
    keep: u32,
    vms: Vec<PrunedVm>,
    /// What nothing else holds.
    bytes: Option<u64>,
    paths: Option<u64>,
}

#[derive(Debug, Serialize)]
struct PrunedVm {
    name: VmName,
    busy: bool,
    old: Vec<u64>,
    /// `None` when nothing was to be dropped.
    dropped: Option<Vec<u64>>,
}

async fn work(session: &Session<'_>, args: &Args) -> Result<u8> {
    let (context, reporter) = (&session.context, &session.reporter);
    let target = session.target()?;
    let tags = session.tags()?;
    let looking = prune::look(context, &target, &args.selection.vms, &tags, args.keep);
    let prunable = context.unless_interrupted(Aftermath::Declined, looking).await?;
    let listing = &prunable.listing;
    reporter.prunable(listing);
    let count: usize = listing.vms.iter().map(|(_, old)| old.numbers().len()).sum();
    let mut dropped = None;
    if count > 0 && !args.dry_run {
        let generations = if count == 1 { "generation" } else { "generations" };
        approved(session, &format!("Drop {count} {generations} on {}?", target.name)).await?;
        let all = prune::carry_out(&prunable, args.keep).await?;
        reporter.pruned(&all, &prunable.looked.host.by_hand("nix-collect-garbage"));
        dropped = Some(all);
    }
    if reporter.is_json() {
        reporter.object(pruned(args.keep, listing, dropped.as_deref()));
    }
    prunable.looked.host.close().await;
    Ok(0)
}

fn pruned(keep: u32, listing: &Listing, dropped: Option<&[(VmName, Old)]>) -> Pruned {
    let of =
        |vm: &VmName| dropped?.iter().find(|(name, _)| name == vm).map(|(_, old)| old.numbers().to_vec());
    let vms = listing.vms.iter().map(|(vm, old)| PrunedVm {
        name: vm.clone(),
        busy: *old == Old::Busy,
        old: old.numbers().to_vec(),
        dropped: of(vm),
    });
    let (bytes, paths) = listing.freed.unzip();
    Pruned { keep, vms: vms.collect(), bytes, paths }
}
