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
    #[arg(trailing_var_arg = true, value_name = "CMD")]
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
        let hushed = async {
            session.reporter.hush().await;
            Ok(())
        };
        context.unless_interrupted(Aftermath::Declined, hushed).await?;
        entrance.enter(context).await
    })
    .await
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Args;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
        #[arg(long)]
        json: bool,
    }

    #[test]
    fn a_command_needs_no_dashes_before_it() {
        for (typed, command, json) in [
            ("ssh vm1", "", false),
            ("ssh vm1 --json", "", true),
            ("ssh vm1 hostname", "hostname", false),
            ("ssh vm1 -- hostname", "hostname", false),
            ("ssh --json vm1 ls -l --json", "ls -l --json", true),
            ("ssh vm1 -- -x", "-x", false),
            ("ssh vm1 git log -- file", "git log -- file", false),
            ("ssh vm1 -- git log -- file", "git log -- file", false),
        ] {
            let Typed { args, json: said } = Typed::try_parse_from(typed.split(' ')).unwrap();
            assert_eq!((args.command.join(" ").as_str(), said), (command, json), "{typed}");
        }
    }
}
