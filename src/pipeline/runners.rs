//! The wanted runners in a store, each built where it makes sense, and their closures:
//! what a plan compares. Nothing else is changed anywhere, and on the hypervisor only
//! its store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Context;
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, identity, machine};
use crate::model::closure::Closure;
use crate::model::inventory::Wanted;
use crate::model::name::TransactionId;
use crate::model::observed::Observed;
use crate::model::plan::Plan;
use crate::model::store_path::StorePath;
use crate::plan::build_on::{BuildOn, Place};
use crate::stage::build::{self, NotBuilt, build_local, closure_of, missing_here};
use crate::stage::copy::{self, PassThrough};
use crate::stage::evaluate::{EvalRequest, evaluate};
use crate::stage::observe;

/// Longest time that letting go may take after a failure: the link may be what failed.
const LETTING_GO: Duration = Duration::from_secs(15);

/// Runners with what a plan needs to know of them.
#[derive(Debug, Default)]
pub struct Runners {
    /// Their closures.
    pub closures: BTreeMap<StorePath, Closure>,
    /// Those that need no copying.
    pub there: There,
}

/// Runners that are in the hypervisor's store before anything is copied, and held there.
#[derive(Debug, Default)]
pub struct There {
    runners: BTreeSet<StorePath>,
    /// Those whose derivations were sent and built.
    built: BTreeSet<StorePath>,
    held: Option<TransactionId>,
}

impl There {
    /// Which.
    pub fn runners(&self) -> &BTreeSet<StorePath> {
        &self.runners
    }

    /// Whether the hypervisor's store was touched.
    pub fn sent(&self) -> bool {
        !self.built.is_empty()
    }

    /// Says in the plan what came of it.
    pub fn remark(&self, plan: &mut Plan) {
        for movement in plan.moves.iter_mut().filter(|m| m.changes()) {
            if self.built.contains(&movement.to) {
                movement
                    .notes
                    .push("derivations were sent to the hypervisor, and it was built there".to_owned());
            } else if self.runners.contains(&movement.to) {
                movement.notes.push("it was built on the hypervisor before".to_owned());
            }
        }
    }

    /// Lets go of them: by now links hold what was deployed.
    ///
    /// # Errors
    /// Exit 11 when the hypervisor cannot be asked.
    pub async fn release(&self, host: &Host) -> Result<()> {
        match &self.held {
            Some(id) => copy::unpend(host, id).await,
            None => Ok(()),
        }
    }
}

/// What is needed to build somewhere.
pub struct Workshop<'a> {
    /// Events and Ctrl-C.
    pub context: &'a Context,
    /// The hypervisor.
    pub host: &'a Host,
    /// How the wish was evaluated.
    pub request: &'a EvalRequest,
    /// The user's word.
    pub build_on: BuildOn,
}

impl Workshop<'_> {
    /// Builds the runners that are not in a store yet, and reads the closures of all.
    /// Ctrl-C is obeyed in here, because a build on the hypervisor has to be stopped.
    ///
    /// # Errors
    /// 2 for a system that is not the hypervisor's, 10 when something does not build, 20
    /// when the hypervisor's store was touched and the rest failed, 130 at Ctrl-C.
    pub async fn runners(&self, wanted: Vec<Wanted>, observed: &Observed) -> Result<Runners> {
        if wanted.is_empty() {
            return Ok(Runners::default());
        }
        refuse_other_systems(&wanted, observed)?;
        let at_home = async {
            let (here, there) = self.split(wanted).await?;
            self.build_here(&here).await?;
            let mut closures = BTreeMap::new();
            for wanted in &here {
                closures.insert(wanted.runner.clone(), closure_of(&wanted.runner, self.options()).await?);
            }
            Ok((closures, there))
        };
        let (mut closures, there) = self.context.unless_interrupted(Aftermath::Declined, at_home).await?;
        if there.is_empty() {
            return Ok(Runners { closures, there: There::default() });
        }
        let (found, there) = self.work_there(&there).await?;
        closures.extend(found);
        Ok(Runners { closures, there })
    }

    fn options(&self) -> &[(String, String)] {
        &self.request.options
    }

    /// Which to build here, and which there.
    async fn split(&self, wanted: Vec<Wanted>) -> Result<(Vec<Wanted>, Vec<Wanted>)> {
        // Where this machine is the hypervisor, there is nothing to choose.
        let build_on = if self.host.store().is_none() { BuildOn::Laptop } else { self.build_on };
        let laptop = machine::system();
        let missing = if wanted.iter().any(|w| build_on.asks_the_store(&laptop, &w.system)) {
            missing_here(&wanted, self.options()).await?
        } else {
            Vec::new()
        };
        let is_here =
            |w: &Wanted| build_on.place(&laptop, &w.system, !missing.contains(&w.runner)) == Place::Here;
        Ok(wanted.into_iter().partition(is_here))
    }

    async fn build_here(&self, wanted: &[Wanted]) -> Result<()> {
        let events = &self.context.events;
        match build_local(wanted, self.options(), events).await {
            Ok(_) => return Ok(()),
            Err(NotBuilt::Failed(failure)) => return Err(failure),
            Err(NotBuilt::Gone(_)) => self.evaluate_again(wanted).await?,
        }
        match build_local(wanted, self.options(), events).await {
            Ok(_) => Ok(()),
            Err(NotBuilt::Failed(failure)) => Err(failure),
            Err(NotBuilt::Gone(_)) => Err(vanishing()),
        }
    }

    /// Derivations that were remembered have been garbage-collected: evaluate afresh.
    async fn evaluate_again(&self, wanted: &[Wanted]) -> Result<()> {
        if wanted.iter().any(|w| w.name.is_host()) {
            // It has been evaluated a moment ago.
            return Err(vanishing());
        }
        let afresh = EvalRequest {
            words: wanted.iter().map(|w| w.name.to_string()).collect(),
            cache_dir: None,
            ..self.request.clone()
        };
        let again = evaluate(&afresh, &self.context.events).await?;
        let same = |w: &Wanted| again.vms.get(&w.name).is_some_and(|a| a.runner == w.runner);
        if wanted.iter().all(same) {
            return Ok(());
        }
        Err(Failure::new(Aftermath::NotBuilt, "the flake changed while it was being evaluated")
            .help(format!("run the same command again ({})", again.flake.reference)))
    }

    /// Everything on the hypervisor; when it fails or is interrupted, nothing of it goes on.
    async fn work_there(&self, wanted: &[Wanted]) -> Result<(BTreeMap<StorePath, Closure>, There)> {
        let id = identity::new_id().ok_or_else(|| Failure::bug("could not make an id"))?;
        let work = self.build_there(&id, wanted);
        match self.context.unless_interrupted(Aftermath::Declined, work).await {
            Ok((closures, built)) => {
                let runners = closures.keys().cloned().collect();
                Ok((closures, There { runners, built, held: Some(id) }))
            }
            Err(failure) => {
                // What cannot be let go now, the next push drops after a day; and a build
                // that nobody listens to stops by itself.
                let _ = tokio::time::timeout(LETTING_GO, build::there::abandon(self.host, &id)).await;
                Err(failure)
            }
        }
    }

    async fn build_there(
        &self,
        id: &TransactionId,
        wanted: &[Wanted],
    ) -> Result<(BTreeMap<StorePath, Closure>, BTreeSet<StorePath>)> {
        let both = wanted.iter().flat_map(|w| [w.drv.clone(), w.runner.clone()]);
        copy::hold(self.host, id, &sorted(both)).await?;
        let runners = sorted(wanted.iter().map(|w| w.runner.clone()));
        let mut closures: BTreeMap<_, _> =
            observe::closures(self.host, &runners).await?.into_iter().collect();
        let lacks: Vec<Wanted> =
            wanted.iter().filter(|w| !closures.contains_key(&w.runner)).cloned().collect();
        if lacks.is_empty() {
            return Ok((closures, BTreeSet::new()));
        }
        let missing = missing_here(&lacks, self.options()).await?;
        if lacks.iter().any(|w| missing.contains(&w.drv)) {
            self.evaluate_again(&lacks).await?;
        }
        let events = &self.context.events;
        let derivations = sorted(lacks.iter().map(|w| w.drv.clone()));
        let pass = PassThrough { options: self.options().to_vec(), ..PassThrough::default() };
        self.context.footprint.sends_derivations();
        copy::send_derivations(self.host, id, &derivations, &pass, events).await?;
        build::there::build(self.host, id, &lacks, self.options(), events).await?;
        let built = sorted(lacks.iter().map(|w| w.runner.clone()));
        let found = observe::closures(self.host, &built).await.map_err(|f| f.after(Aftermath::StoreOnly))?;
        closures.extend(found);
        match lacks.iter().find(|w| !closures.contains_key(&w.runner)) {
            None => Ok((closures, built.into_iter().collect())),
            Some(wanted) => Err(Failure::new(
                Aftermath::StoreOnly,
                format!("{} was built on the hypervisor, but is not in its store", wanted.runner),
            )
            .help("try again; perhaps a garbage collection was faster")),
        }
    }
}

fn vanishing() -> Failure {
    Failure::new(Aftermath::NotBuilt, "the derivations vanish from the local store while they are needed")
        .help("wait until the garbage collection has ended, and try again")
}

/// Each path once: VMs may share them.
fn sorted(paths: impl Iterator<Item = StorePath>) -> Vec<StorePath> {
    paths.collect::<BTreeSet<_>>().into_iter().collect()
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
