//! `deployvm diff`: closure diffs by themselves.

use super::args::{Global, Selection};
use super::push::evaluated;
use super::session::{self, Session};
use crate::error::{Failure, Result};
use crate::pipeline::differ::{self, Depth};

/// Compare the closure of what runs with what the flake wants
///
/// With --from and --to it compares two generations of one VM instead, without evaluation.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,

    /// Compare from this generation of the VM
    #[arg(long, value_name = "N", requires = "to")]
    pub from: Option<u64>,

    /// Compare to this generation of the VM
    #[arg(long, value_name = "N", requires = "from")]
    pub to: Option<u64>,

    /// Also explain in which derivations the difference begins
    #[arg(long)]
    pub why: bool,

    /// Also show how small text files differ, such as units and files in /etc
    #[arg(long)]
    pub text: bool,
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
    let depth = Depth { why: args.why, text: args.text };
    if let (Some(from), Some(to)) = (args.from, args.to) {
        let [vm] = args.selection.vms.as_slice() else {
            return Err(Failure::usage("generations are those of one VM")
                .help(format!("name it: deployvm diff VM --from {from} --to {to}")));
        };
        let vm = vm.parse().map_err(|e| Failure::usage(format!("{e}")))?;
        let target = session.target()?;
        let options = session.global.options();
        let difference = differ::between(context, &target, &vm, (from, to), depth, &options).await?;
        session.reporter.differences(&[difference]);
        return Ok(0);
    }
    let intent = session.intent_for(&args.selection, false)?;
    let (differences, plan) = differ::with_flake(context, intent, depth).await?;
    session.reporter.differences(&differences);
    evaluated(&plan).map(|()| 0)
}
