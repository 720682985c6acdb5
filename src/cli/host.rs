//! `deployvm host`: the hypervisor's own NixOS system.

use clap::Subcommand;

use super::args::{Confirmation, Global, Made, Queue};
use super::push::{approved, moved, possible};
use super::queue;
use super::session::{self, Session};
use crate::error::{Aftermath, Failure, Result};
use crate::model::name::HOST;
use crate::model::outcome::Outcome;
use crate::model::plan::{How, Plan};
use crate::pipeline::host::{Ready, Wish, carry_out, generations, go_back, prepare, prepare_return};
use crate::pipeline::push::{Manner, PassThrough, Site, admit};

/// Plan, deploy and roll back the hypervisor's own system
///
/// The configuration is hypervisors.NAME.configuration of the settings, or the only one of the
/// flake with microvm.host.enable. VMs that it declares are deployed with it.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "the doc comment of each Args is its help text; one here would replace it")]
pub enum Action {
    Plan(PlanArgs),
    Push(PushArgs),
    Rollback(RollbackArgs),
    Generations(GenerationsArgs),
}

impl Action {
    /// Whether it changes nothing.
    pub fn only_answers(&self) -> bool {
        match self {
            Self::Plan(_) | Self::Generations(_) => true,
            Self::Push(args) => args.dry_run,
            Self::Rollback(_) => false,
        }
    }
}

/// Print what host push would do, changing nothing
///
/// Shows the closure diff of the system, what a switch would do to each VM, and what only a
/// reboot would change.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PlanArgs {
    /// What to plan for.
    #[command(flatten)]
    pub made: Made,

    /// Exit with 3 when there are changes
    #[arg(long)]
    pub exit_code: bool,
}

/// Switch the hypervisor to the system that the flake wants, on trial
///
/// Evaluates, builds, prints the plan and asks; then copies and runs switch-to-configuration in a
/// transaction. When a VM does not come back, units fail, or this machine cannot come back over a
/// fresh connection, the old system is put back. What the next boot starts changes last of all.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PushArgs {
    /// What to deploy and how.
    #[command(flatten)]
    pub made: Made,

    /// Print the plan and stop
    #[arg(long)]
    pub dry_run: bool,

    /// For a change of addresses.
    #[command(flatten)]
    pub confirmation: Confirmation,

    /// Whether to wait.
    #[command(flatten)]
    pub queue: Queue,
}

/// Switch the hypervisor back to an earlier generation of its system
///
/// Through the same transaction as host push. Nothing is evaluated.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RollbackArgs {
    /// The generation to go back to [default: the one before what runs]
    #[arg(long, value_name = "N")]
    pub to: Option<u64>,

    /// For a change of addresses.
    #[command(flatten)]
    pub confirmation: Confirmation,
}

/// List the generations of the hypervisor's system
#[derive(Debug, Clone, Default, clap::Args)]
pub struct GenerationsArgs {}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    match args.action {
        Action::Plan(args) => session::run(global, false, async move |s| plan(s, &args).await).await,
        Action::Push(args) => session::run(global, true, async move |s| push(s, &args).await).await,
        Action::Rollback(args) => session::run(global, true, async move |s| rollback(s, &args).await).await,
        Action::Generations(_) => session::run(global, false, list).await,
    }
}

fn wish<'a>(session: &Session<'a>, made: &Made) -> Wish<'a> {
    let global = session.global;
    Wish {
        flake: global.flake.clone(),
        rev: made.rev.clone(),
        overrides: global.overrides(),
        options: global.options(),
        build_on: session::place_of(made.build_on),
        settle: Box::new(|output| session::host_place(global, output)),
    }
}

async fn plan(session: &Session<'_>, args: &PlanArgs) -> Result<u8> {
    let context = &session.context;
    let pass = session.pass(&args.made)?;
    let ready = prepare(context, &wish(session, &args.made)).await?;
    session.reporter.plan(&ready.plan);
    let result = allowed(&ready, &pass).await;
    let code = match (&result, ready.plan.moves.first().map(|m| &m.how)) {
        (Ok(()), Some(How::Refuse(_))) => Aftermath::Refused.code(),
        (Ok(()), _) if args.exit_code && ready.plan.has_changes() => 3,
        _ => 0,
    };
    let sent = ready.there.sent();
    ready.close(context).await;
    result.map_err(|failure| if sent { failure.sent() } else { failure })?;
    Ok(code)
}

/// Whether it can be carried out at all.
async fn allowed(ready: &Ready, pass: &PassThrough) -> Result<()> {
    possible(&ready.plan)?;
    admit(&ready.host, &ready.plan, &ready.there, pass).await
}

async fn push(session: &Session<'_>, args: &PushArgs) -> Result<u8> {
    let context = &session.context;
    let pass = session.pass(&args.made)?;
    queue::rounds(session, &args.queue, vec![HOST.to_owned()], async |_| {
        let ready = prepare(context, &wish(session, &args.made)).await?;
        let result = obey(session, args, &ready, pass.clone()).await;
        let sent = ready.there.sent();
        ready.close(context).await;
        result.map_err(|failure| if sent { failure.sent() } else { failure })
    })
    .await
}

async fn obey(
    session: &Session<'_>,
    args: &PushArgs,
    ready: &Ready,
    pass: PassThrough,
) -> Result<Option<Vec<Outcome>>> {
    if args.dry_run {
        session.reporter.plan(&ready.plan);
        return allowed(ready, &pass).await.map(|()| None);
    }
    let moved = moved(&ready.target.address, &args.confirmation)?;
    session.reporter.proposal(&ready.plan);
    allowed(ready, &pass).await?;
    consent(session, &ready.plan, "Switch").await?;
    let site = Site { host: &ready.host, address: &ready.target.address, moved: moved.as_ref() };
    let manner = Manner { at_once: 1, pass, ..Manner::default() };
    Ok(Some(vec![carry_out(&session.context, ready, &site, &manner).await?]))
}

/// Asks, where there is something to ask about.
async fn consent(session: &Session<'_>, plan: &Plan, doing: &str) -> Result<()> {
    if !plan.has_changes() {
        return Ok(());
    }
    approved(session, &format!("{doing} the system of {}?", plan.hypervisor)).await
}

async fn rollback(session: &Session<'_>, args: &RollbackArgs) -> Result<u8> {
    let context = &session.context;
    let target = session.target()?;
    let moved = moved(&target.address, &args.confirmation)?;
    let deadlines = session.settled()?.settings.defaults.deadlines();
    queue::rounds(session, &Queue::default(), vec![HOST.to_owned()], async |_| {
        let preparing = prepare_return(context, &target, deadlines, args.to);
        let ready = context.unless_interrupted(Aftermath::Declined, preparing).await?;
        session.reporter.proposal(&ready.plan);
        possible(&ready.plan)?;
        consent(session, &ready.plan, "Roll back").await?;
        let site = Site { host: &ready.host, address: &target.address, moved: moved.as_ref() };
        let outcome = go_back(context, &ready, &site).await;
        ready.close(context).await;
        let to = args.to.map(|number| format!(" --to {number}")).unwrap_or_default();
        Ok(Some(vec![Outcome { again: Some(format!("host rollback{to}")), ..outcome? }]))
    })
    .await
}

async fn list(session: &Session<'_>) -> Result<u8> {
    let context = &session.context;
    let target = session.target()?;
    let asking = generations(context, &target);
    let list = context.unless_interrupted(Aftermath::Declined, asking).await?;
    if list.is_empty() {
        return Err(Failure::new(Aftermath::Refused, "the system's profile has no generations"));
    }
    session.reporter.system_generations(&list);
    Ok(0)
}
