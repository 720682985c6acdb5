//! `deployvm config`: the settings, each with the layer that it came from.

use super::args::{Global, Selection};
use super::session::{self, Session};
use super::settings::{Layers, Settled, describe};
use crate::error::{Aftermath, Result};
use crate::pipeline::said;

/// Show each setting and the layer that it came from
///
/// Later layers win: built-in defaults; the flake's deployvm output; a VM's own configuration;
/// deployvm.toml at the flake's root; its [environments.NAME] table; DEPLOYVM_* variables; flags.
/// With VMs, what holds for each of them, with what its own configuration says.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// VMs by name, glob ('vm*') or tag (@web) [default: the layers as they are]
    #[arg(value_name = "VM")]
    pub vms: Vec<String>,

    /// Do not evaluate the flake: leave out what it says
    #[arg(long, conflicts_with = "vms")]
    pub no_eval: bool,
}

/// Prints the settings.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    session::run(global, false, async move |session| work(session, args).await).await
}

async fn work(session: &Session<'_>, args: Args) -> Result<u8> {
    let layers = Layers::before_flake(session.global)?;
    if !args.vms.is_empty() {
        let intent = session.intent_for(&Selection { vms: args.vms }, false)?;
        let asking = said::of_vms(&session.context, &intent);
        let said = session.context.unless_interrupted(Aftermath::Declined, asking).await?;
        let settled = layers.with_flake(said.output.as_ref())?;
        settled.check_vm_names(&said.names)?;
        return show(session, &describe::of_vms(&settled, &said.vms)?);
    }
    let settled: Settled = if args.no_eval || !session.has_flake()? {
        layers.with_flake(None)?
    } else {
        let intent = session.intent_for(&Selection::default(), false)?;
        let asking = said::output(&session.context, &intent);
        let output = session.context.unless_interrupted(Aftermath::Declined, asking).await;
        let output = output.map_err(|failure| {
            let others = "`deployvm config --no-eval` shows what the other layers say";
            match failure.help.clone() {
                Some(help) => failure.help(format!("{help}; {others}")),
                None => failure.help(others),
            }
        })?;
        layers.with_flake(output.as_ref())?
    };
    show(session, &describe::layers(&settled))
}

fn show(session: &Session<'_>, shown: &describe::Shown<'_>) -> Result<u8> {
    if session.reporter.is_json() {
        session.reporter.object(shown.object());
    } else {
        shown.table().lines().for_each(|line| session.reporter.line(line));
    }
    Ok(0)
}
