//! What every VM should run, has staged, has booted and really runs. Nothing is built:
//! the paths that the flake wants are known once it is evaluated.

use std::collections::BTreeMap;

use super::prepare::request;
use super::reconnect::Ways;
use super::{Context, Intent, Target, look};
use crate::error::{Aftermath, Failure, Result};
use crate::host::Host;
use crate::model::event::{Event, Events};
use crate::model::inventory::Inventory;
use crate::model::name::{VmName, Word};
use crate::model::status::Status;
use crate::plan::select;
use crate::plan::state::{Desired, status};
use crate::stage::evaluate::{evaluate, names};

/// What is asked about, and of whom: it can be asked more than once.
#[derive(Debug)]
pub struct Board {
    host: Host,
    target: Target,
    typed: Vec<String>,
    tags: BTreeMap<VmName, Vec<Word>>,
    /// What the flake wants, if it was asked.
    inventory: Option<Inventory>,
}

/// Asks the flake, and connects at the same time.
///
/// # Errors
/// 2 without a flake or for a bad word, 10 when the flake itself does not evaluate, 11
/// when the hypervisor cannot be reached.
pub async fn with_flake(context: &Context, intent: Intent<'_>) -> Result<Board> {
    let request = request(context, &intent).map_err(or_without)?;
    let connection = async {
        match &intent.certain {
            Some(address) => look::connect(context, address).await.map(Some),
            None => Ok(None),
        }
    };
    let (inventory, connection) = tokio::join!(evaluate(&request, &context.events), connection);
    let inventory = inventory.map_err(or_without)?;
    let target = (intent.settle)(&inventory)?.target;
    let host = match connection? {
        Some(host) => host,
        None => look::connect(context, &target.address).await?,
    };
    let (typed, tags) = (intent.typed, intent.tags);
    Ok(Board { host, target, typed, tags, inventory: Some(inventory) })
}

/// Connects, and asks no flake.
///
/// # Errors
/// 11 when the hypervisor cannot be reached.
pub async fn without_flake(
    context: &Context,
    target: Target,
    typed: &[String],
    tags: BTreeMap<VmName, Vec<Word>>,
) -> Result<Board> {
    let host = look::connect(context, &target.address).await?;
    Ok(Board { host, target, typed: typed.to_vec(), tags, inventory: None })
}

impl Board {
    /// A row for each VM as it is now, in name order.
    ///
    /// # Errors
    /// 2 for a word that means no VM, 11 when the hypervisor cannot be asked.
    pub async fn rows(&self, context: &Context) -> Result<Vec<Status>> {
        let observed = look::look(context, &self.host, self.target.elevate, &[]).await?;
        let row = |vm, desired| status(vm, &self.target.name, desired, &observed);
        let Some(inventory) = &self.inventory else {
            let known = observed.vms.keys().cloned().collect();
            let chosen = select::among(&self.typed, &known, &self.tags)?;
            return Ok(chosen.iter().map(|vm| row(vm, Desired::Unasked)).collect());
        };
        let wanted = inventory.vms.iter().map(|(vm, wanted)| row(vm, Desired::Runner(&wanted.runner)));
        let broken = inventory.broken.iter().map(|(vm, error)| row(vm, Desired::Broken(error)));
        // Also what is still a configuration of the flake, but no microVM any more.
        let stranger = |vm: &&VmName| !inventory.vms.contains_key(*vm) && !inventory.broken.contains_key(*vm);
        let orphans = observed.vms.keys().filter(stranger).filter(|vm| select::covers(&self.typed, vm));
        let mut rows: Vec<Status> =
            wanted.chain(broken).chain(orphans.map(|vm| row(vm, Desired::Nothing))).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    /// The same once more, without a word about how. A connection that was lost is made
    /// anew, however long that takes. Also returns what there is to know besides.
    ///
    /// # Errors
    /// As for [`Board::rows`].
    pub async fn rows_again(&mut self, context: &Context) -> Result<(Vec<Status>, Vec<String>)> {
        let (events, mut heard) = Events::channel();
        let quiet = Context { events, ..context.clone() };
        let rows = loop {
            match self.rows(&quiet).await {
                Err(failure)
                    if failure.aftermath == Aftermath::Unreachable && !self.host.is_alive().await =>
                {
                    let message = "the connection was lost: connecting again".to_owned();
                    context.events.send(Event::Warning { message });
                    let ways = Ways { first: &self.host, address: &self.target.address, moved: None };
                    self.host = ways.connect_whenever(&context.events).await;
                }
                rows => break rows?,
            }
        };
        let mut remarks = Vec::new();
        while let Ok(event) = heard.try_recv() {
            if let Event::Warning { message } = event {
                remarks.push(message);
            }
        }
        Ok((rows, remarks))
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.host.close().await;
    }
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
