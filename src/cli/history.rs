//! `deployvm history`: the ledger.

use super::args::{Global, Selection};
use super::session;
use crate::error::{Aftermath, Result};
use crate::pipeline::past;

/// Show the ledger: who deployed what, when, and how it ended
///
/// A narrow terminal shows no REVISION and WHO; a wider one, a pipe and --json do.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    session::run(global, false, async move |session| {
        let context = &session.context;
        let (target, tags) = (session.target()?, session.tags()?);
        let asking = past::history(context, &target, &args.selection.vms, &tags);
        let entries = context.unless_interrupted(Aftermath::Declined, asking).await?;
        session.reporter.history(&entries);
        Ok(0)
    })
    .await
}
