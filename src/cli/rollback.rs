//! `deployvm rollback`: back to an earlier generation.

use super::args::{Confirmation, Global, Queue};
use super::push::{approved, moved, possible};
use super::queue;
use super::session::{self, Session};
use crate::error::{Aftermath, Result};
use crate::pipeline::push::{Manner, Site, without_copying};
use crate::pipeline::rollback::{Prepared, Return, prepare};

/// Go back to the previous generation, or a given one
///
/// It goes through the same transaction and checks as push, and needs no evaluation.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// VMs by name, glob ('vm*') or tag (@web)
    #[arg(value_name = "VM", required = true)]
    pub vms: Vec<String>,

    /// The generation to go to [default: the highest verified one below the current]
    #[arg(long, value_name = "N")]
    pub to: Option<u64>,

    /// For a change of addresses.
    #[command(flatten)]
    pub confirmation: Confirmation,

    /// Whether to wait.
    #[command(flatten)]
    pub queue: Queue,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    session::run(global, true, async move |session| work(session, args).await).await
}

async fn work(session: &Session<'_>, args: Args) -> Result<u8> {
    let context = &session.context;
    let target = session.target()?;
    let moved = moved(&target.address, &args.confirmation)?;
    queue::rounds(session, &args.queue, args.vms, async |vms| {
        let settled = session.settled()?;
        let wanted = Return {
            target: target.clone(),
            typed: vms,
            tags: session.tags()?,
            to: args.to,
            settle: Box::new(|vm, own| settled.vm(vm, Some(own))),
        };
        let preparing = prepare(context, &wanted);
        let Prepared { plan, looked } = context.unless_interrupted(Aftermath::Declined, preparing).await?;
        session.reporter.proposal(&plan);
        possible(&plan)?;
        if plan.has_changes() {
            approved(session, &format!("Roll back on {}?", plan.hypervisor)).await?;
        }
        let site = Site { host: &looked.host, address: &target.address, moved: moved.as_ref() };
        let mut outcomes = without_copying(context, &site, &plan, "rollback", &Manner::default()).await;
        outcomes.iter_mut().for_each(|outcome| outcome.again = Some(wanted.again(&outcome.name)));
        looked.host.close().await;
        Ok(Some(outcomes))
    })
    .await
}
