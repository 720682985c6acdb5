//! Everything up to a plan: evaluate while the connection is opened, look, build what
//! is not there, compare closures, decide. On the hypervisor nothing is changed but its
//! store, and that only where it is to build.

use std::collections::BTreeMap;

use super::runners::{Runners, There, Workshop};
use super::{Chosen, Context, Intent, behind, look, queue};
use crate::error::{Aftermath, Result, without_secrets};
use crate::host::{Host, git, machine};
use crate::model::closure::Closure;
use crate::model::event::Event;
use crate::model::inventory::{Inventory, Wanted};
use crate::model::name::VmName;
use crate::model::observed::Observed;
use crate::model::plan::{How, Move, Plan};
use crate::model::store_path::StorePath;
use crate::pipeline::line::After;
use crate::plan::decide::{Wish, decide};
use crate::plan::{checks, conflicts, flake_file, order};
use crate::stage::evaluate::{EvalRequest, evaluate, locate};
use crate::stage::places::{self, Guests};

/// A plan with everything that is needed to carry it out.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// What the flake wants.
    pub inventory: Inventory,
    /// What was chosen.
    pub chosen: Chosen,
    /// Closures of the wanted runners that are not what their VMs run.
    pub closures: BTreeMap<StorePath, Closure>,
    /// Those of them that need no copying.
    pub there: There,
    /// What was found.
    pub observed: Observed,
    /// The open connection.
    pub host: Host,
    /// Who comes after whom.
    pub after: After,
}

impl Prepared {
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
/// 20 when it failed after the hypervisor's store was touched, 130 at Ctrl-C.
pub async fn prepare(context: &Context, intent: Intent<'_>) -> Result<Prepared> {
    let request = request(context, &intent)?;
    let (build_on, choices) = (intent.build_on, intent.choices);
    let looking = look_at(context, &request, intent);
    let looked = context.unless_interrupted(Aftermath::Declined, looking).await?;
    let Looked { inventory, chosen, ordered, host, mut observed, remarks } = looked;
    let workshop = Workshop { context, host: &host, request: &request, build_on };
    // What is to be done does not depend on closures: where its checks run is looked at
    // while those are built and listed.
    let target = &chosen.target.name;
    let mut draft = decide(target, &ordered.wishes, &observed, &BTreeMap::new(), choices);
    let mut tried: Vec<&mut Move> = draft.moves.iter_mut().filter(|m| m.is_tried()).collect();
    let places =
        context.unless_interrupted(Aftermath::Declined, places::look(&host, &mut tried, Guests::MustLetIn));
    let runners = workshop.runners(changed(&ordered.wishes, &observed), &observed);
    let (places, runners) = tokio::join!(places, runners);
    let Runners { closures, there } = runners?;
    let places = match places {
        Ok(remarks) => remarks,
        Err(failure) => {
            // The refusal matters; a root that stays behind goes within a day.
            let _ = there.release(&host).await;
            return Err(if there.sent() { failure.sent() } else { failure });
        }
    };
    for runner in there.runners() {
        // As good as found there: nothing of it is sent any more.
        observed.closures.extend(closures.get(runner).map(|c| (runner.clone(), c.clone())));
    }
    let mut plan = decide(target, &ordered.wishes, &observed, &closures, choices);
    for (movement, draft) in plan.moves.iter_mut().zip(draft.moves) {
        movement.vsock = draft.vsock;
    }
    plan.warnings.extend(remarks);
    plan.warnings.extend(places);
    plan.broken = inventory.broken.iter().map(|(vm, error)| (vm.clone(), error.clone())).collect();
    there.remark(&mut plan);
    warn(&mut plan, &inventory, &observed);
    Ok(Prepared { plan, closures, there, inventory, chosen, observed, host, after: ordered.after })
}

/// Wish and reality.
pub(super) struct Looked {
    pub(super) inventory: Inventory,
    pub(super) chosen: Chosen,
    pub(super) ordered: Ordered,
    pub(super) host: Host,
    pub(super) observed: Observed,
    /// What the guard says.
    pub(super) remarks: Vec<String>,
}

pub(super) async fn look_at(context: &Context, request: &EvalRequest, intent: Intent<'_>) -> Result<Looked> {
    let evaluation = evaluate(request, &context.events);
    let connection = async {
        match &intent.certain {
            Some(address) => look::connect(context, address).await.map(Some),
            None => Ok(None),
        }
    };
    // Both at once: a wrong wish is reported rather than a slow host.
    let (inventory, connection) = tokio::join!(evaluation, connection);
    let inventory = inventory?;
    let chosen = (intent.settle)(&inventory)?;
    let mut ordered = wishes(&inventory, &chosen, intent.checks)?;
    let host = match connection? {
        Some(host) => host,
        None => look::connect(context, &chosen.target.address).await?,
    };
    let wanted: Vec<(VmName, StorePath)> =
        ordered.wishes.iter().map(|w| (w.vm.clone(), w.runner.clone())).collect();
    let observed = look::look(context, &host, chosen.target.elevate, &wanted).await?;
    let vms: Vec<VmName> = wanted.iter().map(|(vm, _)| vm.clone()).collect();
    let observed = queue::wait(context, &host, &vms, &wanted, observed).await?;
    let remarks = behind::guard(&inventory.flake, &observed, &mut ordered.wishes, intent.force_behind)?;
    Ok(Looked { inventory, chosen, ordered, host, observed, remarks })
}

pub(super) fn request(context: &Context, intent: &Intent<'_>) -> Result<EvalRequest> {
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

pub(super) struct Ordered {
    pub(super) wishes: Vec<Wish>,
    after: After,
}

/// What is wanted, checked and in rollout order.
pub(super) fn wishes(inventory: &Inventory, chosen: &Chosen, run_checks: bool) -> Result<Ordered> {
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
            behind: None,
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
    let remote = match behind::repository(&inventory.flake.reference) {
        Some(directory) => git::checkout(&directory)?.and_then(|c| c.remote),
        None => None,
    };
    let fetchable = remote.as_deref().and_then(flake_file::of_remote);
    Ok(Some(fetchable.unwrap_or_else(|| without_secrets(&inventory.flake.reference))))
}

/// What is wanted of the VMs that do not run it already.
pub(super) fn changed(wishes: &[Wish], observed: &Observed) -> Vec<Wanted> {
    let runs =
        |w: &&Wish| observed.vms.get(&w.vm).is_some_and(|f| f.booted_path().as_ref() == Some(&w.runner));
    wishes.iter().filter(|w| !runs(w)).filter_map(|w| w.wanted.clone()).collect()
}

/// What the user should read before saying yes.
pub(super) fn warn(plan: &mut Plan, inventory: &Inventory, observed: &Observed) {
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
