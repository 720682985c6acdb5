//! What the flake says about settings, for `config`: its `deployvm` output, and what
//! chosen VMs say in their own configurations. Nothing is asked of a hypervisor.

use std::collections::BTreeMap;

use super::{Context, Intent, prepare};
use crate::error::{Aftermath, Failure, Result};
use crate::model::name::VmName;
use crate::model::settings::{DeployvmOutput, VmSettings};
use crate::stage::evaluate;

/// What it says.
pub struct Said {
    /// The flake's output, if it has one.
    pub output: Option<DeployvmOutput>,
    /// Every name in `nixosConfigurations`.
    pub names: Vec<String>,
    /// The chosen VMs, with what their own configurations say.
    pub vms: BTreeMap<VmName, Option<VmSettings>>,
}

/// The flake's output alone.
///
/// # Errors
/// 2 when it is wrong, 10 when it cannot be evaluated.
pub async fn output(context: &Context, intent: &Intent<'_>) -> Result<Option<DeployvmOutput>> {
    evaluate::output(&prepare::request(context, intent)?).await
}

/// The same, and the chosen VMs.
///
/// # Errors
/// 2 when a name is not known or settings are wrong, 10 when a VM cannot be evaluated.
pub async fn of_vms(context: &Context, intent: &Intent<'_>) -> Result<Said> {
    let inventory = evaluate::evaluate(&prepare::request(context, intent)?, &context.events).await?;
    if let Some((vm, error)) = inventory.broken.iter().next() {
        return Err(Failure::new(Aftermath::NotBuilt, format!("cannot evaluate {vm}"))
            .output(error)
            .help("`deployvm config` without VMs shows what the other layers say"));
    }
    let vms = inventory.vms.into_iter().map(|(vm, wanted)| (vm, wanted.settings)).collect();
    Ok(Said { output: inventory.output, names: inventory.names, vms })
}
