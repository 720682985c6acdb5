//! Builds runners from derivations that were evaluated before: on this machine, or on
//! the hypervisor ([`there`]). What is in the store already costs one question; the
//! rest is streamed.

pub mod there;

use crate::error::{Aftermath, Failure, Result};
use crate::host::process;
use crate::model::argv::{Argv, Output};
use crate::model::closure::Closure;
use crate::model::event::{Event, Events};
use crate::model::inventory::Wanted;
use crate::model::name::VmName;
use crate::model::store_path::StorePath;
use crate::tool::nix::build::{self, Watch, Why};
use crate::tool::nix::{PassThrough, closure, errors};

/// Every runner that was asked for is in the local store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    made: Vec<VmName>,
}

impl Built {
    /// Those whose runner was not in the store before.
    pub fn made(&self) -> &[VmName] {
        &self.made
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotBuilt {
    /// Derivations were evaluated once and have been garbage-collected since:
    /// evaluate again without the cache.
    Gone(Vec<VmName>),
    /// Something that the user must mend.
    Failed(Failure),
}

impl From<Failure> for NotBuilt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Builds the runners of these microVMs. `options` are the user's `--option NAME VALUE`.
///
/// # Errors
/// When a derivation is gone or does not build.
pub async fn build_local(
    wanted: &[Wanted],
    options: &[(String, String)],
    events: &Events,
) -> std::result::Result<Built, NotBuilt> {
    if wanted.is_empty() {
        return Ok(Built::default());
    }
    let pass = pass(options);
    let missing = missing_here(wanted, options).await?;
    let todo: Vec<&Wanted> = wanted.iter().filter(|w| missing.contains(&w.runner)).collect();
    let gone: Vec<VmName> =
        todo.iter().filter(|w| missing.contains(&w.drv)).map(|w| w.name.clone()).collect();
    if !gone.is_empty() {
        return Err(NotBuilt::Gone(gone));
    }
    if todo.is_empty() {
        return Ok(Built::default());
    }
    events.send(Event::Phase { name: "build", total: Some(todo.len() as u64) });
    let argv = build::realise(todo.iter().map(|w| &w.drv), &pass);
    let mut watch = Watch::default();
    let output = process::watch(
        &argv,
        |_| (),
        |line| {
            if let Some(event) = watch.line(line) {
                events.send(event);
            }
        },
    );
    let output = output.await.map_err(errors::not_started)?;
    if output.ok() {
        return Ok(Built { made: todo.into_iter().map(|w| w.name.clone()).collect() });
    }
    let failure = match watch.why() {
        Some(why) => explain(why, &todo, &pass, &Words::here()).await,
        None => errors::explain(&output).failure("cannot build"),
    };
    Err(NotBuilt::Failed(failure))
}

/// Which runners and derivations of these are not in the local store. `options` as for
/// [`build_local`].
///
/// # Errors
/// When there is no store to ask.
pub async fn missing_here(wanted: &[Wanted], options: &[(String, String)]) -> Result<Vec<StorePath>> {
    let all = wanted.iter().flat_map(|w| [&w.runner, &w.drv]);
    let output = ask(&build::missing(all, &pass(options)), "cannot ask the local store").await?;
    Ok(build::parse_paths(&output.text()))
}

fn pass(options: &[(String, String)]) -> PassThrough {
    PassThrough { options: options.to_vec(), ..PassThrough::default() }
}

/// The closure of a path in the local store. `options` as for [`build_local`]: the
/// store may be one of them.
///
/// # Errors
/// When the path is not there.
pub async fn closure_of(path: &StorePath, options: &[(String, String)]) -> Result<Closure> {
    let argv = closure::path_info(path, &pass(options));
    let output = ask(&argv, &format!("cannot read the closure of {path}")).await?;
    Ok(closure::parse_listing(&output.text()))
}

async fn ask(argv: &Argv, doing: &str) -> Result<Output> {
    let output = process::run(argv).await.map_err(errors::not_started)?;
    if output.ok() { Ok(output) } else { Err(errors::explain(&output).failure(doing)) }
}

/// The words of a failure that depend on the machine that was to build.
struct Words {
    /// What follows `cannot build NAME`.
    place: &'static str,
    other_system: &'static str,
    /// The command that shows a log, up to the derivation.
    log: String,
}

impl Words {
    fn here() -> Self {
        Self {
            place: "",
            other_system: "this machine cannot build for that system: use --build-on hypervisor, \
                           or set up a remote builder",
            log: "nix log".to_owned(),
        }
    }
}

async fn explain(why: Why, todo: &[&Wanted], pass: &PassThrough, words: &Words) -> Failure {
    let place = words.place;
    let Some(derivation) = &why.derivation else {
        // Not about one build: a full disk, missing build users and the like.
        return errors::read(&format!("error: {}", why.message)).failure(&format!("cannot build{place}"));
    };
    let vms = affected(derivation, todo, pass).await;
    let whose = if vms.is_empty() { String::new() } else { format!(" for {}", vms.join(", ")) };
    let name = build::short_name(derivation.as_str());
    let failure =
        Failure::new(Aftermath::NotBuilt, format!("cannot build {name}{whose}{place}: {}", why.message));
    let failure = failure.output(&why.log.join("\n"));
    if why.message.contains("is required to build") || why.message.contains("platform mismatch") {
        return failure.help(words.other_system);
    }
    failure.help(format!("the whole log: {} {derivation}", words.log))
}

/// The microVMs that need this derivation.
async fn affected(derivation: &StorePath, todo: &[&Wanted], pass: &PassThrough) -> Vec<String> {
    // Only for the message: when the store does not answer, it is told without.
    let output = process::run(&build::dependents(derivation, pass)).await.unwrap_or_default();
    let dependents = build::parse_paths(&output.text());
    let needs = |w: &&&Wanted| w.drv == *derivation || dependents.contains(&w.drv);
    todo.iter().filter(needs).map(|w| w.name.to_string()).collect()
}
