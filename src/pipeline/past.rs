//! What a hypervisor remembers: generations and the ledger. Nothing is evaluated.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Target, look, queue};
use crate::error::Result;
use crate::host::{Host, clock};
use crate::model::event::Event;
use crate::model::generation::Generation;
use crate::model::ledger::Entry;
use crate::model::name::{VmName, Word};
use crate::model::observed::Observed;
use crate::model::store_path::StorePath;
use crate::plan::{generations, select};
use crate::stage::ledger;
use crate::stage::observe;

/// A hypervisor that was connected to and looked at.
pub struct Looked {
    /// The open connection.
    pub host: Host,
    /// What was found.
    pub observed: Observed,
}

/// Connects and looks.
///
/// # Errors
/// 11 when the hypervisor cannot be reached.
pub async fn open(context: &Context, target: &Target) -> Result<Looked> {
    let host = look::connect(context, &target.address).await?;
    let observed = look::look(context, &host, target.elevate, &[]).await?;
    Ok(Looked { host, observed })
}

impl Looked {
    /// Waits for others who work on these VMs, where the user wants that.
    ///
    /// # Errors
    /// 11 when the hypervisor cannot be asked.
    pub async fn in_turn(self, context: &Context, vms: &[VmName]) -> Result<Self> {
        let observed = queue::wait(context, &self.host, vms, &[], self.observed).await?;
        Ok(Self { observed, ..self })
    }

    /// Every VM that the hypervisor has or remembers.
    pub fn known(&self) -> BTreeSet<VmName> {
        let remembered = self.observed.ledger.iter().filter_map(|entry| entry.vm.parse().ok());
        self.observed.vms.keys().cloned().chain(remembered).collect()
    }
}

/// The generations of one VM.
///
/// # Errors
/// 2 for a VM that nobody knows there, 11 when the hypervisor cannot be reached.
pub async fn generations(context: &Context, target: &Target, vm: &VmName) -> Result<Vec<Generation>> {
    let looked = open(context, target).await?;
    let Some(found) = looked.observed.vms.get(vm) else {
        let known = looked.known();
        // It was there once: then it has no generations now.
        return if known.contains(vm) { Ok(Vec::new()) } else { Err(select::unknown(vm.as_str(), &known)) };
    };
    let ledger = ledger::read(&looked.host, std::slice::from_ref(vm)).await?;
    let paths: Vec<StorePath> = found.generations.iter().map(|(_, path)| path.clone()).collect();
    let sizes = observe::sizes(&looked.host, &paths).await?;
    let list = generations::list(vm, found, &ledger.entries, &sizes, clock::rfc3339);
    looked.host.close().await;
    Ok(list)
}

/// The ledger's entries about the chosen VMs.
///
/// # Errors
/// 2 for a word that means no VM there, 11 when the hypervisor cannot be reached.
pub async fn history(
    context: &Context,
    target: &Target,
    typed: &[String],
    tags: &BTreeMap<VmName, Vec<Word>>,
) -> Result<Vec<Entry>> {
    let looked = open(context, target).await?;
    // Plain names are looked for there, so that a large ledger stays there.
    let names = select::only_names(typed).unwrap_or_default();
    let mut ledger = ledger::read(&looked.host, &names).await?;
    looked.host.close().await;
    let mut known = looked.observed.vms.keys().cloned().collect::<BTreeSet<VmName>>();
    known.extend(looked.observed.ledger.iter().chain(&ledger.entries).filter_map(|e| e.vm.parse().ok()));
    if !typed.is_empty() {
        let chosen = select::among(typed, &known, tags)?;
        ledger.entries.retain(|entry| chosen.iter().any(|vm| vm.as_str() == entry.vm));
    }
    if ledger.cut {
        let message = format!(
            "only the last {} MiB of the ledger were read; all of it is in /var/lib/deployvm/ledger.jsonl on {}",
            ledger::MOST_BYTES >> 20,
            target.name
        );
        context.events.send(Event::Warning { message });
    }
    Ok(ledger.entries)
}
