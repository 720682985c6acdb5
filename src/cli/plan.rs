//! `deployvm plan`: what `push` would do.

use super::args::{Global, Intent};
use super::push::possible;
use super::session::{self, Session};
use crate::error::{Aftermath, Result};
use crate::model::plan::How;
use crate::pipeline::prepare::{Prepared, prepare};
use crate::pipeline::push::{PassThrough, admit};

/// Print what push would do, changing nothing
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// What to plan for.
    #[command(flatten)]
    pub intent: Intent,

    /// Exit with 3 when there are changes
    #[arg(long)]
    pub exit_code: bool,
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
    let intent = session.intent(&args.intent, true)?;
    let pass = session.pass(&args.intent.made)?;
    let prepared = prepare(context, intent).await?;
    let result = answer(session, args, &prepared, &pass).await;
    let sent = prepared.there.sent();
    prepared.close(context).await;
    result.map_err(|failure| if sent { failure.sent() } else { failure })
}

async fn answer(session: &Session<'_>, args: &Args, prepared: &Prepared, pass: &PassThrough) -> Result<u8> {
    session.reporter.plan(&prepared.plan);
    possible(&prepared.plan)?;
    admit(&prepared.host, &prepared.plan, &prepared.there, pass).await?;
    // As push would end: a VM that it refuses to touch, and then whether it has work.
    let plan = &prepared.plan;
    let refused = plan.moves.iter().any(|m| matches!(m.how, How::Refuse(_)));
    let changes = args.exit_code && plan.has_changes();
    Ok(if refused {
        Aftermath::Refused.code()
    } else if changes {
        3
    } else {
        0
    })
}
