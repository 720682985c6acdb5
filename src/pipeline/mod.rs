//! The order: cli's verbs as sequences of stages and plan. Nothing here prints; what
//! happens meanwhile goes out as events, what came of it is returned.

pub mod aftercare;
pub mod attendance;
pub mod behind;
pub mod check;
pub mod deploy;
pub mod differ;
pub mod doctor;
pub mod footprint;
pub mod glance;
pub mod hook;
pub mod host;
pub mod init;
pub mod interruption;
pub mod keep;
pub mod known;
pub mod line;
pub mod logs;
pub mod look;
pub mod past;
pub mod power;
pub mod prepare;
pub mod prune;
pub mod push;
pub mod queue;
pub mod reconnect;
pub mod rollback;
pub mod run;
pub mod runners;
pub mod said;
pub mod ssh;
pub mod status;
pub mod verdict;
pub mod why;

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;

use crate::error::{Aftermath, Failure, Result};
pub use crate::host::keyring::Keyring;
pub use crate::host::notebook;
use crate::model::address::Address;
use crate::model::event::Events;
use crate::model::inventory::Inventory;
use crate::model::login::Elevate;
use crate::model::name::{VmName, Word};
use crate::model::settings::VmSettings;
pub use crate::plan::build_on::BuildOn;
pub use crate::plan::decide::Choices;
pub use footprint::Footprint;
pub use queue::Patience;

/// What every verb needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where to say what happens.
    pub events: Events,
    /// Becomes true at the first Ctrl-C.
    pub interrupted: tokio::sync::watch::Receiver<bool>,
    /// What was touched so far.
    pub footprint: Footprint,
    /// How long to wait for others.
    pub patience: Patience,
    /// Keys that came with the command.
    pub keyring: Arc<Keyring>,
    /// `$XDG_CACHE_HOME/deployvm`, if there is one.
    pub cache: Option<Utf8PathBuf>,
}

impl Context {
    /// Works until Ctrl-C: for everything that changes no VM and can simply be left.
    ///
    /// # Errors
    /// The work's own failure, or one of that aftermath when it was interrupted.
    pub async fn unless_interrupted<T>(
        &self,
        aftermath: Aftermath,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let left = || Err(Failure::new(aftermath, "interrupted"));
        interruption::unless(&self.interrupted, work).await.unwrap_or_else(left)
    }
}

/// A hypervisor to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in the settings, or else its address.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// What to write into a new VM's `flake` file, if the settings say so.
    pub flake: Option<String>,
    /// How to become root there, if the settings say so.
    pub elevate: Option<Elevate>,
}

/// What cli makes of an inventory: which VMs, with which settings, where.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Where.
    pub target: Target,
    /// Which, in name order, with everything that the layers say about them.
    pub vms: Vec<(VmName, VmSettings)>,
}

/// How cli settles what holds for one VM whose terms the hypervisor kept.
pub type SettleOne<'a> = Box<dyn Fn(&VmName, &VmSettings) -> Result<VmSettings> + 'a>;

/// How cli makes it: settings are its business.
pub type Settle<'a> = Box<dyn FnOnce(&Inventory) -> Result<Chosen> + 'a>;

/// What the user wants of a push or a plan.
pub struct Intent<'a> {
    /// The flake, as given; the nearest one when `None`.
    pub flake: Option<String>,
    /// A commit instead of the working tree.
    pub rev: Option<String>,
    /// VM names, globs and tags as typed.
    pub typed: Vec<String>,
    /// Tags from the layers that are known before the flake is.
    pub tags: BTreeMap<VmName, Vec<Word>>,
    /// Inputs to replace.
    pub overrides: Vec<(String, String)>,
    /// Options for Nix.
    pub options: Vec<(String, String)>,
    /// The hypervisor, where it is certain before anything is evaluated.
    pub certain: Option<Address>,
    /// What to make of the inventory.
    pub settle: Settle<'a>,
    /// Where to build.
    pub build_on: BuildOn,
    /// Choices that change the plan.
    pub choices: Choices,
    /// Whether checks are run.
    pub checks: bool,
    /// Go on where the wish is behind what runs.
    pub force_behind: bool,
}
