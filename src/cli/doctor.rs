//! `deployvm doctor`: what is known to break deployments, and what mends it.

use super::args::{Global, Selection};
use super::session::{self, Session};
use crate::error::{Aftermath, Result};
use crate::model::finding::Severity;
use crate::pipeline::doctor::{Question, examine};

/// Look for every trap known to break a deployment, and say what mends it
///
/// Looks at this machine and at the hypervisor, and changes nothing. Exits with 0 when there is nothing
/// to mend, and with 32 when there is.
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
    session::run(global, false, async move |session| work(session, &args).await).await
}

async fn work(session: &Session<'_>, args: &Args) -> Result<u8> {
    let context = &session.context;
    let (settled, target, tags) = (session.settled()?, session.target()?, session.tags()?);
    let settle = |vm: &_, own: &_| settled.vm(vm, Some(own));
    let question = Question {
        typed: &args.selection.vms,
        tags: &tags,
        named: session.global.hypervisor.as_deref(),
        settle: &settle,
    };
    let examining = examine(context, &target, &question);
    let findings = context.unless_interrupted(Aftermath::Declined, examining).await?;
    session.reporter.findings(&findings, &format!("this machine and {}", target.name));
    let worth_mending = findings.iter().any(|finding| finding.severity < Severity::Note);
    Ok(if worth_mending { Aftermath::Left.code() } else { 0 })
}
