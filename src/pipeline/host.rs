//! The hypervisor's own system, by the same line as its microVMs: evaluate, look, build,
//! plan, copy, switch on trial, judge. What that does to VMs is a part of the plan, and
//! looked at again afterwards.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;

use super::line::After;
use super::push::{Manner, Site, push, without_copying};
use super::runners::{Runners, There, Workshop};
use super::{BuildOn, Context, SettleOne, Target, look, queue};
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, clock, machine};
use crate::model::check::{Check, From};
use crate::model::closure::Closure;
use crate::model::event::Event;
use crate::model::inventory::FlakeFacts;
use crate::model::name::VmName;
use crate::model::observed::Observed;
use crate::model::outcome::{Outcome, Word};
use crate::model::plan::Plan;
use crate::model::settings::{Deadlines, DeployvmOutput, VmSettings};
use crate::model::store_path::StorePath;
use crate::model::system::{Does, Effect, FoundSystem, SystemGeneration, WantedSystem};
use crate::plan::checks;
use crate::plan::system::{self as planned, Aim};
use crate::stage::evaluate::{EvalRequest, evaluate_system, locate, named, only_hypervisor, outline};
use crate::stage::{observe, system};

/// What cli makes of the settings once the flake's own are known.
pub struct Place<'a> {
    /// Where.
    pub target: Target,
    /// `hypervisors.NAME.configuration`.
    pub configuration: Option<String>,
    /// Deadlines of what is no VM.
    pub deadlines: Deadlines,
    /// What holds for one VM.
    pub vm: SettleOne<'a>,
}

/// How cli makes it: settings are its business.
pub type SettlePlace<'a> = Box<dyn Fn(Option<&DeployvmOutput>) -> Result<Place<'a>> + 'a>;

/// What the user wants.
pub struct Wish<'a> {
    /// The flake, as given; the nearest one when `None`.
    pub flake: Option<String>,
    /// A commit instead of the working tree.
    pub rev: Option<String>,
    /// Inputs to replace.
    pub overrides: Vec<(String, String)>,
    /// Options for Nix.
    pub options: Vec<(String, String)>,
    /// Where to build.
    pub build_on: BuildOn,
    /// What the settings say.
    pub settle: SettlePlace<'a>,
}

/// A plan with everything that is needed to carry it out.
pub struct Ready {
    /// The plan.
    pub plan: Plan,
    /// Where.
    pub target: Target,
    /// Where the wish comes from.
    pub flake: FlakeFacts,
    /// What needs no copying.
    pub there: There,
    /// The open connection.
    pub host: Host,
    observed: Observed,
}

impl Ready {
    /// Lets go of what was held on the hypervisor, and ends the connection.
    pub async fn close(self, context: &Context) {
        // What stays behind is only a root that the next push drops after a day.
        if let Err(failure) = self.there.release(&self.host).await {
            context.events.send(Event::Warning { message: failure.message });
        }
        self.host.close().await;
    }
}

/// Makes a plan from a flake. Ctrl-C is obeyed in here.
///
/// # Errors
/// 2 for a bad wish, 10 when it does not build, 11 when the hypervisor cannot be reached,
/// 12 when it is no NixOS, 20 when it failed after its store was touched, 130 at Ctrl-C.
pub async fn prepare(context: &Context, wish: &Wish<'_>) -> Result<Ready> {
    let request = EvalRequest {
        flake: locate(wish.flake.as_deref(), wish.rev.as_deref(), &here()?)?,
        overrides: wish.overrides.clone(),
        options: wish.options.clone(),
        ..EvalRequest::default()
    };
    let asking = ask(context, wish, &request);
    let Asked { flake, place, wanted, host, observed, found } =
        context.unless_interrupted(Aftermath::Declined, asking).await?;
    let Place { target, deadlines, vm: settle, .. } = place;
    let to = wanted.wanted.runner.clone();
    let effects = planned::effects(&wanted, &found, &observed);
    let checks = checks_of(&effects, &wanted, &settle, &observed)?;
    let workshop = Workshop { context, host: &host, request: &request, build_on: wish.build_on };
    let todo = if found.running().as_ref() == Some(&to) { Vec::new() } else { vec![wanted.wanted.clone()] };
    let Runners { mut closures, there } = workshop.runners(todo, &observed).await?;
    let mut seen = observed.clone();
    for runner in there.runners() {
        // As good as found there: nothing of it is sent any more.
        seen.closures.extend(closures.get(runner).map(|c| (runner.clone(), c.clone())));
    }
    closures.extend(listed(&host, &found, &[]).await?);
    let aim = Aim { to, boot: wanted.boot, effects: Some(effects), checks, deadlines, note: None };
    let mut plan = planned::decide(&target.name, aim, &found, &seen, &closures);
    there.remark(&mut plan);
    if flake.dirty && plan.has_changes() {
        plan.warnings
            .push("the working tree has changes that are not committed; the ledger will say so".to_owned());
    }
    Ok(Ready { plan, target, flake, there, host, observed })
}

fn here() -> Result<Utf8PathBuf> {
    machine::current_dir()
}

/// Wish and reality.
struct Asked<'a> {
    flake: FlakeFacts,
    place: Place<'a>,
    wanted: WantedSystem,
    host: Host,
    observed: Observed,
    found: FoundSystem,
}

async fn ask<'a>(context: &Context, wish: &Wish<'a>, request: &EvalRequest) -> Result<Asked<'a>> {
    let inventory = outline(request).await?;
    let place = (wish.settle)(inventory.output.as_ref())?;
    let evaluation = async {
        let configuration = match &place.configuration {
            Some(name) => named(name)?,
            None => only_hypervisor(request).await?,
        };
        evaluate_system(request, &configuration, &inventory.names, &context.events).await
    };
    // Both at once: a wrong wish is reported rather than a slow host.
    let (wanted, host) = tokio::join!(evaluation, look::connect(context, &place.target.address));
    let wanted = wanted?;
    let host = host?;
    let observed = look::look(context, &host, place.target.elevate, &[]).await?;
    // A switch takes the locks of all VMs, those too that somebody else makes meanwhile.
    let vms: BTreeSet<&VmName> = wanted.vms.keys().chain(observed.vms.keys()).collect();
    let all: Vec<VmName> = vms.into_iter().cloned().chain([VmName::host()]).collect();
    let observed = queue::wait(context, &host, &all, &[], observed).await?;
    let found = system::look(&host).await?;
    Ok(Asked { flake: inventory.flake, place, wanted, host, observed, found })
}

/// The hypervisor's own checks of the VMs that the switch restarts or starts, named after
/// them.
fn checks_of(
    effects: &[Effect],
    wanted: &WantedSystem,
    settle: &SettleOne<'_>,
    observed: &Observed,
) -> Result<Vec<Check>> {
    let mut all = Vec::new();
    for effect in effects.iter().filter(|e| matches!(e.does, Does::Restarts | Does::Starts)) {
        let Some(vm) = wanted.vms.get(&effect.vm).and_then(|declared| declared.wanted.as_ref()) else {
            continue;
        };
        let settings = settle(&effect.vm, vm.settings.as_ref().unwrap_or(&VmSettings::default()))?;
        let checks = planned::with_excuses(checks::checks(vm, &settings)?, effect, observed);
        let named = |check: Check| Check { name: format!("{} {}", effect.vm, check.name), ..check };
        all.extend(checks.into_iter().filter(|check| check.from == From::Hypervisor).map(named));
    }
    Ok(all)
}

/// The closures of what runs there and of others that are there.
async fn listed(
    host: &Host,
    found: &FoundSystem,
    others: &[StorePath],
) -> Result<BTreeMap<StorePath, Closure>> {
    let mut paths: Vec<StorePath> = found.running().into_iter().chain(others.iter().cloned()).collect();
    paths.sort();
    paths.dedup();
    Ok(observe::closures(host, &paths).await?.into_iter().collect())
}

/// Carries out a plan that came from a flake.
///
/// # Errors
/// 12 or 20 when the closure does not get there; after that there is an outcome.
pub async fn carry_out(
    context: &Context,
    ready: &Ready,
    site: &Site<'_>,
    manner: &Manner,
) -> Result<Outcome> {
    let Ready { plan, flake, there, .. } = ready;
    let work = ("host-push", flake.clone());
    let outcomes = push(context, site, plan, &After::default(), work, there, manner).await?;
    afterwards(context, site, ready, outcomes).await
}

/// Carries out a plan to go back: all of it is there.
///
/// # Errors
/// A bug, when there is no outcome.
pub async fn go_back(context: &Context, ready: &Ready, site: &Site<'_>) -> Result<Outcome> {
    let outcomes = without_copying(context, site, &ready.plan, "host-rollback", &Manner::default()).await;
    afterwards(context, site, ready, outcomes).await
}

/// Says what became of the VMs, whatever became of the system.
async fn afterwards(
    context: &Context,
    site: &Site<'_>,
    ready: &Ready,
    mut outcomes: Vec<Outcome>,
) -> Result<Outcome> {
    let mut outcome = outcomes.pop().ok_or_else(|| Failure::bug("the switch has no outcome"))?;
    if !matches!(outcome.result, Word::Deployed | Word::RolledBack) {
        return Ok(outcome);
    }
    let again = if site.host.is_alive().await { None } else { site.host.anew(site.address).await.ok() };
    let why = outcome.reason.as_deref().and_then(planned::why).map(str::to_owned);
    let mut said: Vec<String> = outcome.detail.take().or(why).into_iter().collect();
    match observe::observe(again.as_ref().unwrap_or(site.host), None, &[]).await {
        Ok(after) => {
            let effects = ready.plan.effects.as_deref().filter(|_| outcome.result == Word::Deployed);
            said.extend(planned::changes(&ready.observed, &after, effects.unwrap_or_default()));
        }
        Err(failure) => context.events.send(Event::Warning { message: failure.message }),
    }
    if let Some(host) = again {
        host.close().await;
    }
    if outcome.result == Word::Deployed {
        let notes = ready.plan.moves.iter().flat_map(|m| &m.notes);
        said.extend(notes.filter(|note| note.starts_with("a reboot is needed")).cloned());
    }
    outcome.detail = Some(said.join("; ")).filter(|said| !said.is_empty());
    Ok(outcome)
}

/// The generations of the system, ascending.
///
/// # Errors
/// 11 when the hypervisor cannot be reached, 12 when it is no NixOS.
pub async fn generations(context: &Context, target: &Target) -> Result<Vec<SystemGeneration>> {
    let host = look::connect(context, &target.address).await?;
    look::look(context, &host, target.elevate, &[]).await?;
    let found = system::look(&host).await?;
    host.close().await;
    let (running, booted, default) = (found.running(), found.booted, found.default);
    let list = found.generations.into_iter().map(|each| SystemGeneration {
        number: each.number,
        time: Some(clock::rfc3339(each.time)),
        current: running.as_ref() == Some(&each.path),
        booted: booted.as_ref() == Some(&each.path),
        default: default == Some(each.number),
        path: each.path,
        version: each.version,
    });
    Ok(list.collect())
}

/// Makes a plan to go back to an earlier generation of the system: the highest below what
/// runs, or that of this number. Nothing is evaluated.
///
/// # Errors
/// 2 for a number that there is not, 11 when the hypervisor cannot be reached, 12 when
/// there is nothing to go back to.
pub async fn prepare_return(
    context: &Context,
    target: &Target,
    deadlines: Deadlines,
    to: Option<u64>,
) -> Result<Ready> {
    let host = look::connect(context, &target.address).await?;
    let observed = look::look(context, &host, target.elevate, &[]).await?;
    let found = system::look(&host).await?;
    let generation = planned::previous(&found, to)?.clone();
    let closures = listed(&host, &found, std::slice::from_ref(&generation.path)).await?;
    let seen = Observed { closures: closures.clone(), ..observed.clone() };
    let version = generation.version.map(|version| format!(", {version}")).unwrap_or_default();
    let note = format!(
        "this is generation {}{version}, made {}; VMs that the hypervisor owns get the runners of that time",
        generation.number,
        clock::rfc3339(generation.time)
    );
    let aim = Aim {
        to: generation.path,
        boot: generation.boot,
        effects: None,
        checks: Vec::new(),
        deadlines,
        note: Some(note),
    };
    let plan = planned::decide(&target.name, aim, &found, &seen, &closures);
    let (target, flake, there) = (target.clone(), FlakeFacts::default(), There::default());
    Ok(Ready { plan, target, flake, there, host, observed })
}
