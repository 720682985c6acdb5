//! `deployvm status`: what each VM should run and what it does run.

use super::args::{Global, Selection};
use super::session::{self, Session};
use crate::error::{Aftermath, Result};
use crate::pipeline::status;

/// Show what each VM should run, has staged, has booted and really runs
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,

    /// Do not evaluate the flake: answer from the hypervisor alone
    #[arg(long)]
    pub no_eval: bool,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    session::run(global, false, async move |session| work(session, &args).await).await
}

async fn work(session: &Session<'_>, args: &Args) -> Result<u8> {
    let context = &session.context;
    let rows = if args.no_eval {
        let (target, tags) = (session.target()?, session.tags()?);
        let asking = status::without_flake(context, &target, &args.selection.vms, &tags);
        context.unless_interrupted(Aftermath::Declined, asking).await?
    } else {
        let intent = session.intent_for(&args.selection, false)?;
        context.unless_interrupted(Aftermath::Declined, status::with_flake(context, intent)).await?
    };
    session.reporter.status(&rows);
    Ok(0)
}
