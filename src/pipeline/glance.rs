//! A plan in seconds: nothing is built for it and nothing sent. What is wanted is
//! evaluated, the hypervisor is looked at, and the plan is decided; differences are shown
//! of what is in the local store already.

use std::collections::BTreeMap;

use super::prepare::{Looked, changed, look_at, request, warn};
use super::{Context, Intent};
use crate::error::{Aftermath, Result};
use crate::model::closure::Closure;
use crate::model::inventory::Wanted;
use crate::model::observed::Observed;
use crate::model::plan::{Move, Plan};
use crate::model::store_path::StorePath;
use crate::plan::decide::decide;
use crate::stage::build::{closure_of, missing_here};
use crate::stage::places::{self, Guests};

/// What a push would do, as far as it can be told without building. That somebody is at
/// work on a VM right now is no reason to refuse it here.
///
/// # Errors
/// 2 for a bad wish, 10 when it does not evaluate, 11 when the hypervisor cannot be
/// reached, 130 at Ctrl-C.
pub async fn glance(context: &Context, intent: Intent<'_>) -> Result<Plan> {
    let request = request(context, &intent)?;
    let (options, choices) = (request.options.clone(), intent.choices);
    let work = async {
        let mut looked = look_at(context, &request, intent).await?;
        let busy = take_busy(&mut looked.observed);
        let Looked { inventory, chosen, ordered, host, observed, remarks } = looked;
        let target = &chosen.target.name;
        let mut draft = decide(target, &ordered.wishes, &observed, &BTreeMap::new(), choices);
        let mut tried: Vec<&mut Move> = draft.moves.iter_mut().filter(|m| m.is_tried()).collect();
        let wanted = changed(&ordered.wishes, &observed);
        let (places, closures) =
            tokio::join!(places::look(&host, &mut tried, Guests::MustLetIn), built_before(&wanted, &options));
        host.close().await;
        let (places, closures) = (places?, closures?);
        let mut plan = decide(target, &ordered.wishes, &observed, &closures, choices);
        for movement in plan.moves.iter_mut().filter(|m| m.changes() && !closures.contains_key(&m.to)) {
            movement.notes.push("it is not built here yet, so what differs is not known".to_owned());
        }
        plan.warnings.extend(busy);
        plan.warnings.extend(remarks);
        plan.warnings.extend(places);
        plan.broken = inventory.broken.iter().map(|(vm, error)| (vm.clone(), error.clone())).collect();
        warn(&mut plan, &inventory, &observed);
        Ok(plan)
    };
    context.unless_interrupted(Aftermath::Declined, work).await
}

/// Closures of the runners that are in the local store.
async fn built_before(
    wanted: &[Wanted],
    options: &[(String, String)],
) -> Result<BTreeMap<StorePath, Closure>> {
    let mut closures = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(closures);
    }
    let missing = missing_here(wanted, options).await?;
    for wanted in wanted.iter().filter(|w| !missing.contains(&w.runner)) {
        closures.insert(wanted.runner.clone(), closure_of(&wanted.runner, options).await?);
    }
    Ok(closures)
}

/// Takes out who is at work there now, and says so instead: it will be over.
fn take_busy(observed: &mut Observed) -> Vec<String> {
    observed.open.retain(|transaction| !transaction.alive);
    let locked = observed.vms.iter_mut().filter_map(|(vm, found)| {
        let holder = found.locked.take()?;
        let holder = if holder.is_empty() { "somebody".to_owned() } else { holder };
        Some(format!("{vm} is locked by {holder} at the moment"))
    });
    locked.collect()
}
