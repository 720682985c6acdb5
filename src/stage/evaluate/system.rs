//! Evaluates a hypervisor's own configuration. Nothing of it is remembered: it is asked
//! for once in a while, and what takes long is the evaluation of all its VMs.

use super::{EvalRequest, Flake, facts, nix_version, remedy, start};
use crate::error::{Aftermath, Failure, Result};
use crate::model::event::Events;
use crate::model::inventory::Inventory;
use crate::model::name::Word;
use crate::model::system::WantedSystem;
use crate::tool::nix::{PassThrough, errors, eval, host};

/// The flake without any of its VMs: what it is locked to, its names, its settings.
///
/// # Errors
/// When the flake itself cannot be evaluated, or settings in it are wrong.
pub async fn outline(request: &EvalRequest) -> Result<Inventory> {
    let pass = pass(request);
    let flake = Flake { reference: &request.flake, pass: &pass };
    let (locked, version) = tokio::join!(flake.metadata(), nix_version());
    version?;
    let known = flake.outline().await?;
    let flake = facts(&request.flake, &locked?, &pass);
    Ok(Inventory { flake, names: known.names, output: known.output, ..Inventory::default() })
}

/// The one configuration that is a hypervisor's.
///
/// # Errors
/// 2 when there is none or more than one, 10 when the flake does not evaluate.
pub async fn only_hypervisor(request: &EvalRequest) -> Result<Word> {
    let pass = pass(request);
    let flake = Flake { reference: &request.flake, pass: &pass };
    let doing = "cannot tell which nixosConfigurations are hypervisors";
    let output = flake.ask(&host::hypervisors(&request.flake, &pass), doing, &flake.traced_names()).await?;
    let names = eval::parse_names(&output.stdout).map_err(Failure::bug)?;
    let how =
        "say which, in deployvm.toml: hypervisors.NAME.configuration = \"CONFIGURATION\", beside its address";
    match names.as_slice() {
        [name] => named(name),
        [] => Err(Failure::usage("the flake has no configuration with microvm.host.enable").help(how)),
        several => {
            let message =
                format!("the flake has several hypervisors' configurations: {}", several.join(", "));
            Err(Failure::usage(message).help(how))
        }
    }
}

/// A name in `nixosConfigurations`.
///
/// # Errors
/// 2 for one that is none.
pub fn named(name: &str) -> Result<Word> {
    name.parse().map_err(|error| {
        Failure::usage(format!("the hypervisor's configuration cannot be called so: {error}"))
            .help("give it another name in nixosConfigurations")
    })
}

/// Evaluates it. `names` are those that the flake has.
///
/// # Errors
/// 2 when there is none of that name, 10 when it does not evaluate.
pub async fn evaluate_system(
    request: &EvalRequest,
    configuration: &Word,
    names: &[String],
    events: &Events,
) -> Result<WantedSystem> {
    if !names.iter().any(|name| name == configuration.as_str()) {
        return Err(Failure::usage(format!(
            "the flake has no configuration {configuration:?}",
            configuration = configuration.as_str()
        ))
        .help(format!("hypervisors.NAME.configuration is one of: {}", names.join(", "))));
    }
    events.during("evaluate-host", None, wanted(request, configuration)).await
}

async fn wanted(request: &EvalRequest, configuration: &Word) -> Result<WantedSystem> {
    let pass = pass(request);
    let output = start(&host::system(&request.flake, &pass, configuration)).await?;
    let doing = format!("cannot evaluate the hypervisor's configuration {configuration}");
    if !output.ok() {
        let message = errors::explain(&output);
        let trace = eval::traced(&request.flake, &pass, &host::toplevel(configuration), false);
        return Err(remedy::failure(&message, &doing, &request.flake, &trace));
    }
    host::parse_system(&output.stdout).map_err(|misread| match misread {
        eval::Misread::Settings(why) => Failure::usage(why),
        eval::Misread::Shape(why) => Failure::new(Aftermath::NotBuilt, format!("{doing}: {why}")),
    })
}

fn pass(request: &EvalRequest) -> PassThrough {
    PassThrough {
        overrides: request.overrides.clone(),
        options: request.options.clone(),
        ..PassThrough::default()
    }
}
