//! Why runners differ: finds the derivations that made them, and walks both graphs. A
//! derivation is looked for here first, and then on the hypervisor.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::host::Host;
use crate::model::name::VmName;
use crate::model::store_path::StorePath;
use crate::model::why::Why;
use crate::plan::why::Walk;
use crate::stage::derive::{self, Read};
use crate::stage::recall::recall;

/// Most bytes of derivations that are read for one VM.
const MOST_BYTES: usize = 64 << 20;

/// A generation of a VM, as the hypervisor has it.
pub type Numbered = (VmName, u64, StorePath);

/// Where derivations are looked for.
pub struct Library<'a> {
    /// The hypervisor.
    pub host: &'a Host,
    /// The user's `--option NAME VALUE`.
    pub options: &'a [(String, String)],
    /// What may have made which runner.
    pub makers: BTreeMap<StorePath, Vec<StorePath>>,
}

impl<'a> Library<'a> {
    /// Asks everybody who may know what made these runners: the store here, the terms of
    /// generations, and the hypervisor's store.
    ///
    /// # Errors
    /// Exit 11 when the hypervisor cannot be asked.
    pub async fn open(
        host: &'a Host,
        options: &'a [(String, String)],
        runners: &BTreeSet<StorePath>,
        generations: &[Numbered],
    ) -> Result<Self> {
        let runners: Vec<StorePath> = runners.iter().cloned().collect();
        let mut makers: BTreeMap<StorePath, Vec<StorePath>> = BTreeMap::new();
        let mut knows = |runner: &StorePath, maker: Option<StorePath>| {
            makers.entry(runner.clone()).or_default().extend(maker);
        };
        for runner in &runners {
            knows(runner, derive::deriver_here(runner, options).await);
        }
        if !generations.is_empty() {
            let recalled = recall(host, generations).await?;
            for ((.., runner), recalled) in generations.iter().zip(recalled) {
                knows(runner, recalled.terms.map(|terms| terms.wanted.drv));
            }
        }
        if !runners.is_empty() && host.store().is_some() {
            let derivers = derive::derivers_there(host, &runners).await?;
            runners.iter().zip(derivers).for_each(|(runner, deriver)| knows(runner, deriver));
        }
        Ok(Self { host, options, makers })
    }

    /// Why the one runner is not the other.
    ///
    /// # Errors
    /// Exit 11 when the hypervisor cannot be asked.
    pub async fn explain(&self, before: &StorePath, after: &StorePath) -> Result<Why> {
        let (old, new) = match (self.made(before).await?, self.made(after).await?) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(why), _) | (_, Err(why)) => return Ok(Why::unknown(why)),
        };
        let (mut walk, mut room) = (Walk::begin(&old, &new), MOST_BYTES);
        loop {
            let needs = walk.needs();
            if needs.is_empty() {
                return Ok(walk.end());
            }
            for (path, read) in self.read(needs, &mut room).await? {
                walk.learn(path, read.derivation);
            }
            if room == 0 {
                walk.stop();
            }
            // Where everything is here nothing else waits, and Ctrl-C would not be heard.
            tokio::task::yield_now().await;
        }
    }

    /// The derivation that made a runner, as long as it can be read; or why there is none.
    async fn made(&self, runner: &StorePath) -> Result<std::result::Result<StorePath, String>> {
        let mut makers = self.makers.get(runner).cloned().unwrap_or_default();
        makers.dedup();
        for maker in &makers {
            let mut room = MOST_BYTES;
            let found = self.read([maker.clone()].into(), &mut room).await?;
            if found.iter().any(|(_, read)| read.derivation.is_some()) {
                return Ok(Ok(maker.clone()));
            }
        }
        Ok(Err(match makers.first() {
            None => format!("no store says by which derivation {runner} was made"),
            Some(maker) => format!(
                "{maker}, by which {runner} was made, is neither in the store here nor on the hypervisor; \
                 it was garbage-collected, or was never copied"
            ),
        }))
    }

    /// Reads these, until nothing is left of `room` bytes.
    async fn read(&self, paths: BTreeSet<StorePath>, room: &mut usize) -> Result<Vec<(StorePath, Read)>> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for path in paths {
            if *room == 0 {
                return Ok(found);
            }
            let read = derive::read_here(&path);
            *room = room.saturating_sub(read.bytes);
            if read.bytes > 0 { found.push((path, read)) } else { missing.push(path) }
        }
        let mut asked = 0;
        while let Some(rest) = missing.get(asked..).filter(|rest| !rest.is_empty() && *room > 0) {
            let read = match self.host.store() {
                Some(_) => derive::read_there(self.host, rest).await?,
                None => rest.iter().map(|path| (path.clone(), Read::default())).collect(),
            };
            asked += read.len();
            *room = room.saturating_sub(read.iter().map(|(_, read)| read.bytes).sum());
            found.extend(read);
        }
        Ok(found)
    }
}
