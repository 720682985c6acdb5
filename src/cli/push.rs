//! `deployvm push`: from a flake to verified VMs on the hypervisor.

use super::args::{Confirmation, Global, Intent, Queue};
use super::queue;
use super::session::{self, Session};
use crate::error::{Aftermath, Failure, Result};
use crate::model::address::Address;
use crate::model::outcome::Outcome;
use crate::model::plan::Plan;
use crate::pipeline::prepare::{Prepared, prepare};
use crate::pipeline::push::{Manner, PassThrough, Site, admit, push};
use crate::report::Answer;

/// Build, show the plan, ask, copy, switch, check, and roll back what fails
///
/// Evaluates and builds the chosen VMs, looks at the hypervisor, and prints the plan with closure
/// diffs. After a yes it copies, switches each VM on trial, checks it, and puts the previous
/// generation back where something fails.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// What to deploy and how.
    #[command(flatten)]
    pub intent: Intent,

    /// Print the plan and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Skip declared and derived checks of the guest; the VM must still start and stay up
    #[arg(long)]
    pub no_checks: bool,

    /// Leave a VM that failed as it is, for inspection
    #[arg(long)]
    pub keep_failed: bool,

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
    session::run(global, true, async move |session| work(session, &args).await).await
}

async fn work(session: &Session<'_>, args: &Args) -> Result<u8> {
    let typed = args.intent.selection.vms.clone();
    queue::rounds(session, &args.queue, typed, async |vms| {
        let mut intent = args.intent.clone();
        intent.selection.vms = vms;
        let intent = session.intent(&intent, !args.no_checks)?;
        let pass = session.pass(&args.intent.made)?;
        let prepared = prepare(&session.context, intent).await?;
        let result = obey(session, args, &prepared, pass).await;
        let sent = prepared.there.sent();
        prepared.close(&session.context).await;
        result.map_err(|failure| if sent { failure.sent() } else { failure })
    })
    .await
}

/// From a plan to its end.
async fn obey(
    session: &Session<'_>,
    args: &Args,
    prepared: &Prepared,
    pass: PassThrough,
) -> Result<Option<Vec<Outcome>>> {
    let Prepared { plan, inventory, host, chosen, after, there, .. } = prepared;
    if args.dry_run {
        session.reporter.plan(plan);
        possible(plan)?;
        return admit(host, plan, there, &pass).await.map(|()| None);
    }
    let moved = moved(&chosen.target.address, &args.confirmation)?;
    session.reporter.proposal(plan);
    possible(plan)?;
    admit(host, plan, there, &pass).await?;
    if plan.has_changes() {
        approved(session, &format!("Deploy to {}?", plan.hypervisor)).await?;
    }
    let site = Site { host, address: &chosen.target.address, moved: moved.as_ref() };
    let manner = Manner {
        keep_failed: args.keep_failed,
        at_once: args.intent.jobs.map_or(1, |jobs| jobs as usize),
        pass,
    };
    let work = ("push", inventory.flake.clone());
    push(&session.context, &site, plan, after, work, there, &manner).await.map(Some)
}

/// Where the hypervisor is to confirm from, if that is another address.
///
/// # Errors
/// 2 where there is no connection that could go elsewhere.
pub fn moved(address: &Address, confirmation: &Confirmation) -> Result<Option<Address>> {
    let Some(to) = &confirmation.confirm_from else { return Ok(None) };
    address.moved(to).map(Some).ok_or_else(|| {
        Failure::usage("--confirm-from names another address of a hypervisor that is reached over ssh")
            .help("leave it out where this machine is the hypervisor")
    })
}

/// Refuses a plan that cannot be carried out; 0 when it can.
///
/// # Errors
/// 10 when a VM does not evaluate, 12 when the hypervisor lacks room or memory.
pub fn possible(plan: &Plan) -> Result<u8> {
    evaluated(plan)?;
    match plan.impossible.first() {
        Some(_) => Err(Failure::new(Aftermath::Refused, plan.impossible.join("; "))
            .help("make room on the hypervisor, or choose fewer VMs")),
        None => Ok(0),
    }
}

/// Refuses a plan of which a VM does not evaluate.
///
/// # Errors
/// 10 when there is one.
pub fn evaluated(plan: &Plan) -> Result<()> {
    if !plan.broken.is_empty() {
        let names: Vec<&str> = plan.broken.iter().map(|(vm, _)| vm.as_str()).collect();
        let good: Vec<&str> = plan.moves.iter().map(|m| m.vm.as_str()).collect();
        let failure = Failure::new(Aftermath::NotBuilt, format!("cannot evaluate {}", names.join(", ")));
        return Err(match good.is_empty() {
            true => failure,
            false => failure.help(format!("to deploy the others: deployvm push {}", good.join(" "))),
        });
    }
    Ok(())
}

/// Asks, unless `--yes` was given.
///
/// # Errors
/// 130 when the answer is no, 2 when nobody can be asked.
pub async fn approved(session: &Session<'_>, question: &str) -> Result<()> {
    if session.global.yes {
        return Ok(());
    }
    let answer = session.reporter.confirm(question);
    match session.context.unless_interrupted(Aftermath::Declined, async { Ok(answer.await) }).await? {
        Answer::Yes => Ok(()),
        Answer::Declined => Err(Failure::new(Aftermath::Declined, "declined")),
        Answer::Unanswered => Err(Failure::usage(
            "nobody can be asked: this is a pipeline or no terminal, and there is no --yes",
        )
        .help("say --yes to go on without being asked; nothing was touched")),
    }
}
