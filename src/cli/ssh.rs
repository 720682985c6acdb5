//! `deployvm ssh`: into a guest.

use super::args::Global;
use super::session;
use crate::error::{Aftermath, Result};
use crate::model::name::VmName;
use crate::pipeline::ssh;

/// Log in to a VM, or run a command there, over the network, through the hypervisor or by vsock
///
/// The way in is that of checks: vms.NAME.guest and vms.NAME.address in the settings, and what was
/// deployed. The exit code is that of ssh, which is the command's own, or 255.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The VM
    #[arg(value_name = "VM")]
    pub vm: VmName,

    /// What to run there, as ssh takes it: the guest's shell reads it [default: a login shell]
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    // What the guest says is all that is to be seen, unless more is asked for.
    let quiet = Global { quiet: global.verbose == 0, ..global.clone() };
    session::run(&quiet, false, async move |session| {
        let context = &session.context;
        let (settled, target) = (session.settled()?, session.target()?);
        let settle = |vm: &_, own: &_| settled.vm(vm, Some(own));
        let finding = ssh::find(context, &target, &args.vm, &settle, &args.command);
        let entrance = context.unless_interrupted(Aftermath::Declined, finding).await?;
        session.reporter.hush().await;
        entrance.enter(context).await
    })
    .await
}
