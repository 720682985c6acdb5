//! What every VM should run, has staged, has booted and really runs. Nothing is built:
//! the paths that the flake wants are known once it is evaluated.

use std::collections::BTreeMap;

use super::prepare::request;
use super::{Context, Intent, Target, look};
use crate::error::{Failure, Result};
use crate::host::Host;
use crate::model::name::{VmName, Word};
use crate::model::status::Status;
use crate::plan::select;
use crate::plan::state::{Desired, status};
use crate::stage::evaluate::{evaluate, names};

/// Asks the flake and the hypervisor at the same time.
///
/// # Errors
/// 2 without a flake or for a bad word, 10 when the flake itself does not evaluate, 11
/// when the hypervisor cannot be reached.
pub async fn with_flake(context: &Context, intent: Intent<'_>) -> Result<Vec<Status>> {
    let request = request(context, &intent).map_err(or_without)?;
    let connection = async {
        match &intent.certain {
            Some(address) => look::connect(context, address).await.map(Some),
            None => Ok(None),
        }
    };
    let (inventory, connection) = tokio::join!(evaluate(&request, &context.events), connection);
    let inventory = inventory.map_err(or_without)?;
    let typed = intent.typed;
    let chosen = (intent.settle)(&inventory)?;
    let host = match connection? {
        Some(host) => host,
        None => look::connect(context, &chosen.target.address).await?,
    };
    let observed = look::look(context, &host, chosen.target.elevate, &[]).await?;
    let row = |vm, desired| status(vm, &chosen.target.name, desired, &observed);
    let mut rows: Vec<Status> =
        inventory.vms.iter().map(|(vm, wanted)| row(vm, Desired::Runner(&wanted.runner))).collect();
    rows.extend(inventory.broken.iter().map(|(vm, error)| row(vm, Desired::Broken(error))));
    // Also what is still a configuration of the flake, but no microVM any more.
    let stranger = |vm: &&VmName| !inventory.vms.contains_key(*vm) && !inventory.broken.contains_key(*vm);
    let orphans = observed.vms.keys().filter(stranger).filter(|vm| select::covers(&typed, vm));
    rows.extend(orphans.map(|vm| row(vm, Desired::Nothing)));
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    host.close().await;
    Ok(rows)
}

/// Asks the hypervisor alone.
///
/// # Errors
/// 2 for a word that it does not know, 11 when it cannot be reached.
pub async fn without_flake(
    context: &Context,
    target: &Target,
    typed: &[String],
    tags: &BTreeMap<VmName, Vec<Word>>,
) -> Result<Vec<Status>> {
    let host: Host = look::connect(context, &target.address).await?;
    let observed = look::look(context, &host, target.elevate, &[]).await?;
    let known = observed.vms.keys().cloned().collect();
    let chosen = select::among(typed, &known, tags)?;
    host.close().await;
    Ok(chosen.iter().map(|vm| status(vm, &target.name, Desired::Unasked, &observed)).collect())
}

/// Whether the flake has a configuration of this name.
///
/// # Errors
/// 2 without a flake, 10 when it does not evaluate.
pub async fn in_flake(context: &Context, intent: &Intent<'_>, vm: &VmName) -> Result<bool> {
    let names = names(&request(context, intent)?).await?;
    Ok(names.iter().any(|name| name == vm.as_str()))
}

/// Says how to do without what has just failed.
fn or_without(failure: Failure) -> Failure {
    let other = "to ask the hypervisor alone: deployvm status --no-eval";
    let help = match &failure.help {
        Some(help) => format!("{help}\n{other}"),
        None => other.to_owned(),
    };
    failure.help(help)
}
