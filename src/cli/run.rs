//! `deployvm run`: a VM on this terminal.

use super::args::Global;
use super::push::approved;
use super::session::{self, Session};
use crate::error::{Aftermath, Failure, Result};
use crate::model::address::Address;
use crate::model::name::VmName;
use crate::model::plan::How;
use crate::pipeline::power::{Errand, Power, prepare, warn_of_others};
use crate::pipeline::run;

/// Run a VM in the foreground, with this terminal as its console, and put its unit back afterwards
///
/// What is staged is booted by the VM's own unit, for which nothing but the console and Restart= is
/// another. It ends when the guest powers off, or with the terminal; then the unit is restarted, or
/// stays stopped if it was. Keys go to the guest, Ctrl-C too: to leave, type Enter, then ~ and a
/// full stop.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The VM
    #[arg(value_name = "VM")]
    pub vm: VmName,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    session::run(global, false, async move |session| work(session, args.vm).await).await
}

async fn work(session: &Session<'_>, vm: VmName) -> Result<u8> {
    run::demand_terminal()?;
    let context = &session.context;
    let settled = session.settled()?;
    let settle = Box::new(|vm: &_, own: &_| settled.vm(vm, Some(own)));
    let (target, tags) = (session.target()?, session.tags()?);
    let errand = Errand { power: Power::Run, target, typed: vec![vm.to_string()], tags, settle };
    let mut ready = context.unless_interrupted(Aftermath::Declined, prepare(context, &errand)).await?;
    warn_of_others(context, &ready);
    let movement = ready.plan.moves.pop().ok_or_else(|| Failure::bug("there is nothing to run"))?;
    if let How::Refuse(reason) = &movement.how {
        return Err(Failure::new(Aftermath::Refused, format!("{vm}: {reason}")));
    }
    let question = match movement.running {
        true => format!("{vm} is shut down first. Run it on this terminal?"),
        false => format!("Run {vm} on this terminal?"),
    };
    approved(session, &question).await?;
    session.reporter.remark(&leaving(&vm, &errand.target.address, movement.running));
    let outcome = run::run(context, &errand, &ready, movement, || session.reporter.hush()).await;
    ready.looked.host.close().await;
    let outcome = outcome?;
    session.reporter.summary(outcome.exit, std::slice::from_ref(&outcome));
    Ok(outcome.exit)
}

/// How to get out, before nobody can say it any more.
fn leaving(vm: &VmName, address: &Address, runs: bool) -> String {
    let leave = match address {
        Address::Local => "close the terminal",
        Address::Ssh { .. } => "type Enter, then ~ and a full stop",
    };
    let then = if runs { "is started again" } else { "stays stopped" };
    format!(
        "every key goes to {vm}, Ctrl-C too. It ends when the guest powers off; to leave before, {leave}: then \
         the guest is shut down. Afterwards its unit {then}."
    )
}
