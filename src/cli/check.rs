//! `deployvm check`: the checks alone.

use super::args::{Global, Selection};
use super::session::{self, Session};
use crate::error::{Aftermath, Result};
use crate::model::outcome::exit_code;
use crate::pipeline::check;

/// Run the checks alone
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
    session::run(global, true, async move |session| work(session, &args).await).await
}

async fn work(session: &Session<'_>, args: &Args) -> Result<u8> {
    let context = &session.context;
    let outcomes = if session.has_flake()? {
        let intent = session.intent_for(&args.selection, true)?;
        context.unless_interrupted(Aftermath::Declined, check::with_flake(context, intent)).await?
    } else {
        let (settled, target, tags) = (session.settled()?, session.target()?, session.tags()?);
        let settle = |vm: &_, own: &_| settled.vm(vm, Some(own));
        let checking = check::without_flake(context, &target, &args.selection.vms, &tags, &settle);
        context.unless_interrupted(Aftermath::Declined, checking).await?
    };
    let exit = exit_code(&outcomes);
    session.reporter.summary(exit, &outcomes);
    Ok(exit)
}
