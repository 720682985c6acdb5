//! `deployvm retire`: away with a VM that the flake no longer has.

use super::args::{Global, Queue};
use super::push::approved;
use super::queue;
use super::session::{self, Session};
use crate::error::{Aftermath, Failure, Result};
use crate::model::name::VmName;
use crate::pipeline::power::{Errand, Power, carry_out, prepare};
use crate::pipeline::status::in_flake;

/// Stop and unlink a VM that the flake no longer has, keeping its volumes
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The VM
    #[arg(value_name = "VM")]
    pub vm: VmName,

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

async fn work(session: &Session<'_>, Args { vm, queue }: Args) -> Result<u8> {
    let context = &session.context;
    // Where there is a flake, it has the last word. Where there is none, the user has.
    let asked = match session.has_flake()? {
        true => {
            let intent = session.intent_for(&super::args::Selection::default(), false)?;
            let asking = in_flake(context, &intent, &vm);
            Some(context.unless_interrupted(Aftermath::Declined, asking).await?)
        }
        false => None,
    };
    if asked == Some(true) {
        return Err(Failure::new(Aftermath::Refused, format!("the flake still has {vm}")).help(format!(
            "take {vm} out of nixosConfigurations first; to only shut it down: deployvm stop {vm}"
        )));
    }
    queue::rounds(session, &queue, vec![vm.to_string()], async |vms| {
        let settled = session.settled()?;
        let errand = Errand {
            power: Power::Retire,
            target: session.target()?,
            typed: vms,
            tags: session.tags()?,
            settle: Box::new(|vm, own| settled.vm(vm, Some(own))),
        };
        let ready = context.unless_interrupted(Aftermath::Declined, prepare(context, &errand)).await?;
        if ready.plan.has_changes() {
            let doubt = if asked.is_none() {
                " There is no flake here that could tell whether it is still wanted."
            } else {
                ""
            };
            let name = &errand.target.name;
            let question =
                format!("Stop {vm} on {name} and remove its links and generations? Its volumes stay.{doubt}");
            approved(session, &question).await?;
        }
        let outcomes = carry_out(context, &errand, &ready).await;
        ready.looked.host.close().await;
        Ok(Some(outcomes))
    })
    .await
}
