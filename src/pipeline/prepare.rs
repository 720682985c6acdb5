//! Everything up to a plan: evaluate while the connection is opened, look, build what
//! is not there, compare closures, decide. Nothing on the hypervisor is changed.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::{Chosen, Context, Intent, look};
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, git, machine};
use crate::model::closure::Closure;
use crate::model::inventory::{Inventory, Wanted};
use crate::model::name::VmName;
use crate::model::observed::Observed;
use crate::model::plan::{How, Move, Plan};
use crate::model::store_path::StorePath;
use crate::pipeline::line::After;
use crate::plan::decide::{Wish, decide};
use crate::plan::{checks, conflicts, flake_file, order};
use crate::stage::build::{NotBuilt, build_local, closure_of};
use crate::stage::evaluate::{EvalRequest, evaluate, locate};
use crate::stage::places;

/// A plan with everything that is needed to carry it out.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// What the flake wants.
    pub inventory: Inventory,
    /// What was chosen.
    pub chosen: Chosen,
    /// What was found.
    pub observed: Observed,
    /// The open connection.
    pub host: Host,
    /// Who comes after whom.
    pub after: After,
}

/// Makes a plan from a flake.
///
/// # Errors
/// 2 for a bad wish, 10 when it does not build, 11 when the hypervisor cannot be reached.
pub async fn prepare(context: &Context, intent: Intent<'_>) -> Result<Prepared> {
    let request = request(context, &intent)?;
    let evaluation = evaluate(&request, &context.events);
    let connection = async {
        match &intent.certain {
            Some(address) => look::connect(context, address).await.map(Some),
            None => Ok(None),
        }
    };
    // Both at once: a wrong wish is reported rather than a slow host.
    let (inventory, connection) = tokio::join!(evaluation, connection);
    let inventory = inventory?;
    let (choices, run_checks) = (intent.choices, intent.checks);
    let chosen = (intent.settle)(&inventory)?;
    let ordered = wishes(&inventory, &chosen, run_checks)?;
    let host = match connection? {
        Some(host) => host,
        None => look::connect(context, &chosen.target.address).await?,
    };
    let wanted: Vec<(VmName, StorePath)> =
        ordered.wishes.iter().map(|w| (w.vm.clone(), w.runner.clone())).collect();
    let observed = look::look(context, &host, &wanted).await?;
    let target = &chosen.target.name;
    // What is to be done does not depend on closures; where its checks run is looked at
    // while those are built and listed.
    let mut plan = decide(target, &ordered.wishes, &observed, &BTreeMap::new(), choices);
    let mut tried: Vec<&mut Move> = plan.moves.iter_mut().filter(|m| m.is_tried()).collect();
    let places = places::look(&host, &mut tried);
    let (closures, places) = tokio::join!(closures(context, &request, &ordered.wishes, &observed), places);
    let (places, closures) = (places?, closures?);
    let reached: Vec<_> = plan.moves.into_iter().map(|m| m.vsock).collect();
    let mut plan = decide(target, &ordered.wishes, &observed, &closures, choices);
    for (movement, vsock) in plan.moves.iter_mut().zip(reached) {
        movement.vsock = vsock;
    }
    plan.warnings.extend(places);
    plan.broken = inventory.broken.iter().map(|(vm, error)| (vm.clone(), error.clone())).collect();
    warn(&mut plan, &inventory, &observed);
    Ok(Prepared { plan, inventory, chosen, observed, host, after: ordered.after })
}

fn request(context: &Context, intent: &Intent<'_>) -> Result<EvalRequest> {
    let here = machine::current_dir()?;
    Ok(EvalRequest {
        flake: locate(intent.flake.as_deref(), intent.rev.as_deref(), &here)?,
        words: intent.typed.clone(),
        tags: intent.tags.clone(),
        overrides: intent.overrides.clone(),
        options: intent.options.clone(),
        cache_dir: context.cache.clone(),
        jobs: None,
    })
}

struct Ordered {
    wishes: Vec<Wish>,
    after: After,
}

/// What is wanted, checked and in rollout order.
fn wishes(inventory: &Inventory, chosen: &Chosen, run_checks: bool) -> Result<Ordered> {
    conflicts::refuse(inventory.vms.values())?;
    let mut after = BTreeMap::new();
    for (vm, settings) in &chosen.vms {
        after.insert(vm.clone(), settings.after.clone().unwrap_or_default());
    }
    let mut wishes = Vec::new();
    let flake = flake_file(inventory, chosen)?;
    for vm in order::order(&after, &inventory.names)? {
        let Some(wanted) = inventory.vms.get(&vm) else { continue };
        let Some((_, settings)) = chosen.vms.iter().find(|(name, _)| *name == vm) else { continue };
        let checks = if run_checks { checks::checks(wanted, settings)? } else { Vec::new() };
        wishes.push(Wish {
            vm: vm.clone(),
            runner: wanted.runner.clone(),
            wanted: Some(wanted.clone()),
            settings: settings.clone(),
            checks,
            flake: flake.clone(),
        });
    }
    Ok(Ordered { wishes, after: After(after) })
}

/// What a new VM's `flake` file says: the setting, else the repository's remote if a
/// hypervisor could fetch it, else the reference as given. Without one, `microvm -l` dies for the whole list.
fn flake_file(inventory: &Inventory, chosen: &Chosen) -> Result<Option<String>> {
    if let Some(flake) = &chosen.target.flake {
        return Ok(Some(flake.clone()));
    }
    let directory = Utf8PathBuf::from(&inventory.flake.reference);
    let remote =
        if directory.is_absolute() { git::checkout(&directory)?.and_then(|c| c.remote) } else { None };
    let fetchable = remote.as_deref().and_then(flake_file::of_remote);
    Ok(Some(fetchable.unwrap_or_else(|| inventory.flake.reference.clone())))
}

/// The closures of the wanted runners that are not what their VMs run: built here
/// first, if they are not in the store.
async fn closures(
    context: &Context,
    request: &EvalRequest,
    wishes: &[Wish],
    observed: &Observed,
) -> Result<BTreeMap<StorePath, Closure>> {
    let runs =
        |w: &&Wish| observed.vms.get(&w.vm).is_some_and(|f| f.booted_path().as_ref() == Some(&w.runner));
    let changed: Vec<Wanted> = wishes.iter().filter(|w| !runs(w)).filter_map(|w| w.wanted.clone()).collect();
    if changed.is_empty() {
        return Ok(BTreeMap::new());
    }
    refuse_other_systems(&changed, observed)?;
    match build_local(&changed, &request.options, &context.events).await {
        Ok(_) => {}
        Err(NotBuilt::Failed(failure)) => return Err(failure),
        Err(NotBuilt::Gone(_)) => rebuild(context, request, &changed).await?,
    }
    let mut closures = BTreeMap::new();
    for wanted in &changed {
        closures.insert(wanted.runner.clone(), closure_of(&wanted.runner, &request.options).await?);
    }
    Ok(closures)
}

/// Derivations that were remembered have been garbage-collected: evaluate afresh.
async fn rebuild(context: &Context, request: &EvalRequest, changed: &[Wanted]) -> Result<()> {
    let afresh = EvalRequest {
        words: changed.iter().map(|w| w.name.to_string()).collect(),
        cache_dir: None,
        ..request.clone()
    };
    let again = evaluate(&afresh, &context.events).await?;
    let same = |w: &Wanted| again.vms.get(&w.name).is_some_and(|a| a.runner == w.runner);
    if !changed.iter().all(same) {
        return Err(Failure::new(Aftermath::NotBuilt, "the flake changed while it was being evaluated")
            .help(format!("run the same command again ({})", again.flake.reference)));
    }
    match build_local(changed, &request.options, &context.events).await {
        Ok(_) => Ok(()),
        Err(NotBuilt::Failed(failure)) => Err(failure),
        Err(NotBuilt::Gone(_)) => Err(Failure::new(
            Aftermath::NotBuilt,
            "the derivations vanish from the local store while they are needed",
        )
        .help("wait until the garbage collection has ended, and try again")),
    }
}

/// A runner for another system than the hypervisor's cannot start there.
fn refuse_other_systems(changed: &[Wanted], observed: &Observed) -> Result<()> {
    let theirs = &observed.host.system;
    match changed.iter().find(|w| !theirs.is_empty() && w.system != *theirs) {
        None => Ok(()),
        Some(wanted) => Err(Failure::usage(format!(
            "{} is for {}, and the hypervisor {} is {theirs}",
            wanted.name, wanted.system, observed.host.name
        ))
        .help("set nixpkgs.hostPlatform of the VM to the hypervisor's system")),
    }
}

/// What the user should read before saying yes.
fn warn(plan: &mut Plan, inventory: &Inventory, observed: &Observed) {
    if inventory.flake.dirty && plan.has_changes() {
        plan.warnings
            .push("the working tree has changes that are not committed; the ledger will say so".to_owned());
    }
    for movement in &plan.moves {
        let found = observed.vms.get(&movement.vm);
        if matches!(movement.how, How::Restart)
            && found.is_some_and(|f| !f.booted_valid && f.booted.is_some())
        {
            plan.warnings.push(format!(
                "{}: the runner that it booted is no longer in the hypervisor's store: there is nothing to go back to",
                movement.vm
            ));
        }
    }
    for name in &observed.odd_names {
        plan.warnings.push(format!("{name:?} in /var/lib/microvms is not a VM name, and is left alone"));
    }
}
