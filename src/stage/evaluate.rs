//! Evaluates the flake: what it is locked to, which microVMs it has, and what each
//! chosen one wants. One Nix process per microVM, because they share almost nothing
//! and so each keeps its own error; results are remembered by content, because
//! `nix eval` never uses Nix's own cache.

mod choose;
mod key;
mod place;
mod remedy;
mod system;
mod workers;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

pub use place::{locate, of_commit};
pub use system::{evaluate_system, named, only_hypervisor, outline};

use crate::error::{Aftermath, Failure, Result};
use crate::host::{cache, git, process};
use crate::model::argv::{Argv, Output};
use crate::model::event::{Event, Events};
use crate::model::inventory::{FlakeFacts, Inventory, Wanted};
use crate::model::name::{VmName, Word};
use crate::model::settings::DeployvmOutput;
use crate::tool::nix::metadata::Metadata;
use crate::tool::nix::{PassThrough, data, errors, eval, metadata, version};

/// What to evaluate.
#[derive(Debug, Clone, Default)]
pub struct EvalRequest {
    /// The flake, as [`locate`] returns it.
    pub flake: String,
    /// Names, globs and `@tags` as the user gave them; none means all.
    pub words: Vec<String>,
    /// Tags from settings that win over the flake's, such as `deployvm.toml`.
    pub tags: BTreeMap<VmName, Vec<Word>>,
    /// `--override-input INPUT REF`.
    pub overrides: Vec<(String, String)>,
    /// `--option NAME VALUE`.
    pub options: Vec<(String, String)>,
    /// Where results are remembered, such as `~/.cache/deployvm`; `None` for nowhere.
    pub cache_dir: Option<Utf8PathBuf>,
    /// Nix processes at a time; as many as processors and memory allow when `None`.
    pub jobs: Option<usize>,
}

/// What is remembered of one state of a flake. Failures never are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Remembered {
    /// Names in `nixosConfigurations`.
    names: Vec<String>,
    /// microVMs that have an unusable name, once somebody had to know.
    misnamed: Option<Vec<String>>,
    /// The flake's `deployvm` output.
    output: Option<DeployvmOutput>,
    /// What was evaluated; `None` for what is not a microVM.
    answers: BTreeMap<VmName, Option<Wanted>>,
}

/// How often to begin again when somebody edits the flake meanwhile.
const MOST_ATTEMPTS: usize = 3;

/// Evaluates the chosen microVMs of a flake. A microVM that throws is in
/// [`Inventory::broken`] with Nix's own message, and the others are there all the same.
///
/// # Errors
/// When the flake itself cannot be evaluated, a name or tag is not known, or
/// settings in the flake are wrong.
pub async fn evaluate(request: &EvalRequest, events: &Events) -> Result<Inventory> {
    for _ in 0..MOST_ATTEMPTS {
        if let Some(inventory) = attempt(request, events).await? {
            return Ok(inventory);
        }
        let message = "the flake was changed while it was evaluated: evaluating it again".to_owned();
        events.send(Event::Warning { message });
    }
    Err(Failure::new(Aftermath::NotBuilt, "the flake was changed again and again while it was evaluated")
        .help("try again when its files are at rest, or deploy a commit with --rev"))
}

/// `None` when the flake was changed meanwhile: some VMs may be of the old, some of
/// the new content.
async fn attempt(request: &EvalRequest, events: &Events) -> Result<Option<Inventory>> {
    let pass = PassThrough {
        overrides: request.overrides.clone(),
        options: request.options.clone(),
        ..PassThrough::default()
    };
    let flake = Flake { reference: &request.flake, pass: &pass };
    let (locked, version) = tokio::join!(flake.metadata(), nix_version());
    // First, because it is why the other one fails.
    let version = version?;
    let locked = locked?;
    let facts = facts(&request.flake, &locked, &pass);
    let remember = match &request.cache_dir {
        Some(dir) => key::key(&locked, &facts.fingerprint, &pass, &version).map(|key| (dir, key)),
        None => None,
    };
    let found = remember.as_ref().and_then(|(dir, key)| cache::read::<Remembered>(dir, key));
    let mut changed = found.is_none();
    let mut known = match found {
        Some(known) => known,
        None => flake.outline().await?,
    };

    let chosen = choose::choose(&known.names, known.output.as_ref(), &request.words, &request.tags)?;
    if !chosen.odd.is_empty() {
        if known.misnamed.is_none() {
            known.misnamed = Some(flake.misnamed().await?);
            changed = true;
        }
        choose::refuse_misnamed(&chosen.odd, known.misnamed.as_deref().unwrap_or_default())?;
    }

    let names = chosen.to_evaluate();
    let total = Some(names.len() as u64);
    let work = async {
        let (have, need): (Vec<VmName>, Vec<VmName>) =
            names.into_iter().partition(|name| known.answers.contains_key(name));
        for vm in have {
            events.send(Event::Evaluated { vm, ok: true, cached: true });
        }
        changed |= !need.is_empty();
        let news = workers::evaluate_each(&flake, need, request.jobs, events).await?;
        if changed && key::fingerprint(&flake.metadata().await?, &pass) != facts.fingerprint {
            return Ok(None);
        }
        known.answers.extend(news.answers);

        if let Some((dir, key)) = remember.filter(|_| changed)
            && let Err(error) = cache::write(dir, &key, &known)
        {
            events.send(Event::Warning {
                message: format!("cannot remember the evaluation in {dir}: {error}"),
            });
        }
        warn_of_strangers(&known, events);
        let (vms, broken) = chosen.settle(&known.answers, news.broken)?;
        Ok(Some(Inventory { flake: facts, names: known.names, vms, broken, output: known.output }))
    };
    events.during("evaluate", total, work).await
}

/// The names in the flake's `nixosConfigurations`, without evaluating any of them.
///
/// # Errors
/// When the flake itself cannot be evaluated.
pub async fn names(request: &EvalRequest) -> Result<Vec<String>> {
    let pass = PassThrough {
        overrides: request.overrides.clone(),
        options: request.options.clone(),
        ..PassThrough::default()
    };
    Flake { reference: &request.flake, pass: &pass }.names().await
}

/// The flake's `deployvm` output, if it has one, and nothing else of it.
///
/// # Errors
/// 2 when it is no data or wrong, 10 when it cannot be evaluated.
pub async fn output(request: &EvalRequest) -> Result<Option<DeployvmOutput>> {
    nix_version().await?;
    let pass = PassThrough {
        overrides: request.overrides.clone(),
        options: request.options.clone(),
        ..PassThrough::default()
    };
    Flake { reference: &request.flake, pass: &pass }.output().await
}

/// A flake with what the user hands through to Nix.
struct Flake<'a> {
    reference: &'a str,
    pass: &'a PassThrough,
}

impl Flake<'_> {
    async fn metadata(&self) -> Result<Metadata> {
        let doing = format!("cannot read the flake {}", self.reference);
        let trace = metadata::traced(self.reference, self.pass);
        let output = self.ask(&metadata::metadata(self.reference, self.pass), &doing, &trace).await?;
        serde_json::from_slice(&output.stdout)
            .map_err(|e| Failure::bug(format!("{doing}: nix flake metadata printed something else: {e}")))
    }

    /// Names and the `deployvm` output, at the same time.
    async fn outline(&self) -> Result<Remembered> {
        let (names, output) = tokio::join!(self.names(), self.output());
        Ok(Remembered { names: names?, output: output?, ..Remembered::default() })
    }

    async fn names(&self) -> Result<Vec<String>> {
        let doing = "cannot list the flake's nixosConfigurations";
        let output = self.ask(&eval::names(self.reference, self.pass), doing, &self.traced_names()).await?;
        eval::parse_names(&output.stdout).map_err(Failure::bug)
    }

    async fn misnamed(&self) -> Result<Vec<String>> {
        let doing = "cannot tell which nixosConfigurations with unusual names are microVMs";
        let output =
            self.ask(&eval::misnamed(self.reference, self.pass), doing, &self.traced_names()).await?;
        eval::parse_names(&output.stdout).map_err(Failure::bug)
    }

    async fn output(&self) -> Result<Option<DeployvmOutput>> {
        let output = start(&eval::output(self.reference, self.pass)).await?;
        if !output.ok() {
            let message = errors::explain(&output);
            if message.known == Some(errors::Known::NoAttribute) {
                return Ok(None);
            }
            let doing = "cannot evaluate the flake's output `deployvm`";
            let trace = eval::traced(self.reference, self.pass, "deployvm", false);
            let failure = remedy::failure(&message, doing, self.reference, &trace);
            if message.headline.contains("cannot convert a function") {
                return Err(failure
                    .after(Aftermath::Usage)
                    .help("`deployvm` is plain data: strings, numbers, lists and sets"));
            }
            return Err(failure);
        }
        let value = serde_json::from_slice(&output.stdout).map_err(|e| {
            Failure::usage(format!("the flake's output `deployvm` cannot be read as data: {e}"))
                .help("it is a set of `hypervisors` and `vms`, a few levels deep")
        })?;
        let typed = data::typed(value, "deployvm");
        typed.map(Some).map_err(|why| {
            Failure::usage(format!("in the flake's outputs, {why}"))
                .help("`deployvm config` shows every setting and where it comes from")
        })
    }

    fn traced_names(&self) -> Argv {
        eval::traced(self.reference, self.pass, "nixosConfigurations", true)
    }

    async fn ask(&self, argv: &Argv, doing: &str, trace: &Argv) -> Result<Output> {
        let output = start(argv).await?;
        if output.ok() {
            return Ok(output);
        }
        Err(remedy::failure(&errors::explain(&output), doing, self.reference, trace))
    }
}

async fn start(argv: &Argv) -> Result<Output> {
    process::run(argv).await.map_err(errors::not_started)
}

async fn nix_version() -> Result<String> {
    let version = version::parse(&start(&version::ask()).await?.text());
    if version::too_old(&version) {
        let message = format!("this machine has Nix {version}, which is too old");
        return Err(Failure::new(Aftermath::NotBuilt, message).help(format!("{} here", version::NEEDED)));
    }
    Ok(version)
}

fn facts(reference: &str, locked: &Metadata, pass: &PassThrough) -> FlakeFacts {
    let dirty = locked.dirty();
    // Nix 2.8 does not tell the commit below a dirty tree; git does.
    let below = || {
        let dir = locked.directory().filter(|_| dirty)?;
        git::checkout(dir.as_str().into()).ok().flatten()?.revision
    };
    FlakeFacts {
        reference: reference.to_owned(),
        url: locked.url.clone(),
        revision: locked.commit().or_else(below),
        dirty,
        fingerprint: key::fingerprint(locked, pass),
    }
}

/// Settings for a microVM that the flake does not have are a typing mistake.
fn warn_of_strangers(known: &Remembered, events: &Events) {
    let Some(output) = &known.output else { return };
    for vm in output.vms.keys().filter(|vm| !known.names.iter().any(|n| n == vm.as_str())) {
        let message = format!("`deployvm.vms.{vm}` has settings for a microVM that the flake does not have");
        events.send(Event::Warning { message });
    }
}
