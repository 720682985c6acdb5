//! What every command that works on a hypervisor needs: the reporter, Ctrl-C, the
//! cache directory, and the settings turned into what the pipeline asks for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::watch;

use super::args::{BuildOn, Color, Global, Intent, Made, Selection};
use super::crash;
use super::settings::{self, Layers, Settled};
use super::signals::Signals;
use crate::error::{Aftermath, Failure, Result};
use crate::model::access::Access;
use crate::model::event::Events;
use crate::model::inventory::Inventory;
use crate::model::name::{VmName, Word};
use crate::model::settings::DeployvmOutput;
use crate::pipeline::notebook::append;
use crate::pipeline::push::{PassThrough, SigningKey};
use crate::pipeline::{self, Choices, Chosen, Context, Footprint, Keyring, Patience, Target};
use crate::report::{ColourChoice, Notebook, Reporter, Speech, Written};

/// What is left to say after a signal has so long to be read.
const GRACE: Duration = Duration::from_secs(2);

/// A command at work.
pub struct Session<'a> {
    /// The options of every command.
    pub global: &'a Global,
    /// Who speaks.
    pub reporter: Reporter,
    /// What the pipeline needs.
    pub context: Context,
}

/// Runs a command's work with a reporter, and reports its failure. `stream` says
/// whether `--json` means events as they come.
///
/// # Errors
/// None: a failure was reported, and its exit code is returned.
pub async fn run<'a>(
    global: &'a Global,
    stream: bool,
    work: impl AsyncFnOnce(&Session<'a>) -> Result<u8>,
) -> Result<u8> {
    speaking(global, stream, false, work).await
}

/// The same for a command of which somebody must hear at least every few seconds.
///
/// # Errors
/// As for [`run`].
pub async fn with_pulse<'a>(
    global: &'a Global,
    work: impl AsyncFnOnce(&Session<'a>) -> Result<u8>,
) -> Result<u8> {
    speaking(global, false, true, work).await
}

async fn speaking<'a>(
    global: &'a Global,
    stream: bool,
    pulse: bool,
    work: impl AsyncFnOnce(&Session<'a>) -> Result<u8>,
) -> Result<u8> {
    let (events, listen) = Events::channel();
    let (first, interrupted) = watch::channel(false);
    let colour = match global.color {
        Color::Auto => ColourChoice::Auto,
        Color::Always => ColourChoice::Always,
        Color::Never => ColourChoice::Never,
    };
    let speech =
        Speech { json: global.json, stream, colour, quiet: global.quiet, verbose: global.verbose, pulse };
    let reporter = Reporter::start(speech, listen, events.backlog(), notebook(global))
        .map_err(|error| Failure::bug(format!("cannot start a thread: {error}")))?;
    let footprint = Footprint::default();
    crash::remember(&footprint);
    let patience = Patience::default();
    // Wrong keys are reported as any other failure, before anything is done.
    let (access, wrong) = match global.refuse_secrets().and_then(|()| settings::access::access()) {
        Ok(access) => (access, None),
        Err(failure) => (Access::default(), Some(failure)),
    };
    let keyring = Arc::new(Keyring::new(access));
    let context = Context { events, interrupted, footprint, patience, keyring, cache: cache_dir() };
    let session = Session { global, reporter, context };
    let mut signals = Signals::listen();
    let result = tokio::select! {
        result = async { match wrong { Some(failure) => Err(failure), None => work(&session).await } } => result,
        () = second_interrupt(&mut signals, &first) => Err(session.context.footprint.left()),
    };
    let code = match result {
        Ok(code) => code,
        Err(failure) => {
            session.reporter.failure(&failure);
            failure.aftermath.code()
        }
    };
    let interrupted = *first.borrow();
    let written = tokio::select! {
        written = session.reporter.finish() => Some(written),
        () = enough(&mut signals, interrupted) => None,
    };
    Ok(if global.answers { of_answer(code, written) } else { code })
}

/// The exit code of a command that does nothing but answer: without its whole answer, it did
/// not do that. `None` is an answer that nobody took before a signal came.
fn of_answer(code: u8, written: Option<Written>) -> u8 {
    match (code, written) {
        (0, Some(Written::Torn)) => 1,
        (0, None) => Aftermath::Declined.code(),
        (code, _) => code,
    }
}

/// Returns when there was a signal and nobody has read what is left to say for a while, or
/// when one more comes.
async fn enough(signals: &mut Signals, interrupted: bool) {
    if !interrupted {
        signals.next().await;
    }
    tokio::select! {
        () = tokio::time::sleep(GRACE) => {}
        () = signals.next() => {}
    }
}

/// Tells everybody at the first Ctrl-C, and returns at the second.
async fn second_interrupt(signals: &mut Signals, first: &watch::Sender<bool>) {
    signals.next().await;
    first.send_replace(true);
    signals.next().await;
}

/// The files to which plans and results are appended as Markdown, if there are any.
fn notebook(global: &Global) -> Option<Notebook> {
    let text = |name| std::env::var_os(name)?.into_string().ok();
    let step = text("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(Utf8PathBuf::from);
    let files: Vec<Utf8PathBuf> = global.summary.iter().cloned().chain(step).collect();
    if files.is_empty() {
        return None;
    }
    Some(Box::new(move |page| files.iter().try_for_each(|file| append(file, page))))
}

#[expect(clippy::disallowed_methods, reason = "settings and directories of the user are read in cli")]
fn cache_dir() -> Option<Utf8PathBuf> {
    let absolute = |text: String| Some(Utf8PathBuf::from(text)).filter(|p| p.is_absolute());
    let xdg = std::env::var("XDG_CACHE_HOME").ok().and_then(absolute);
    let home = || std::env::var("HOME").ok().and_then(absolute).map(|home| home.join(".cache"));
    Some(xdg.or_else(home)?.join("deployvm"))
}

impl Session<'_> {
    /// What the pipeline needs to know of a push or a plan.
    ///
    /// # Errors
    /// When a settings layer is not valid (exit 2).
    pub fn intent<'b>(&'b self, args: &Intent, checks: bool) -> Result<pipeline::Intent<'b>> {
        intent_of(self.global, args, checks)
    }

    /// What is handed through to Nix when something is copied.
    ///
    /// # Errors
    /// When the key to sign with is none (exit 2).
    pub fn pass(&self, made: &Made) -> Result<PassThrough> {
        let sign_key = made.sign_key.as_deref().map(signing_key).transpose()?;
        Ok(PassThrough { overrides: Vec::new(), options: self.global.options(), sign_key })
    }

    /// The same for a command that takes nothing but names of VMs.
    ///
    /// # Errors
    /// When a settings layer is not valid (exit 2).
    pub fn intent_for(&self, selection: &Selection, checks: bool) -> Result<pipeline::Intent<'_>> {
        self.intent(&Intent { selection: selection.clone(), ..Intent::default() }, checks)
    }

    /// Whether there is a flake to ask: one was named, or there is one here.
    ///
    /// # Errors
    /// When a layer is not valid (exit 2).
    pub fn has_flake(&self) -> Result<bool> {
        Ok(self.global.flake.is_some() || Layers::before_flake(self.global)?.root().is_some())
    }

    /// Tags from the layers that are known without the flake.
    ///
    /// # Errors
    /// When a layer is not valid (exit 2).
    pub fn tags(&self) -> Result<BTreeMap<VmName, Vec<Word>>> {
        Ok(tags(&self.settled()?))
    }

    /// The hypervisor of a command that evaluates nothing.
    ///
    /// # Errors
    /// When a layer is not valid, or no hypervisor is named (exit 2).
    pub fn target(&self) -> Result<Target> {
        let settled = Layers::before_flake(self.global)?.with_flake(None)?;
        let target = settled.hypervisor()?;
        Ok(aimed(target))
    }

    /// Settings without the flake's own layer, for commands that evaluate nothing.
    ///
    /// # Errors
    /// When a layer is not valid (exit 2).
    pub fn settled(&self) -> Result<Settled> {
        Layers::before_flake(self.global)?.with_flake(None)
    }
}

/// The same with options of every command that are not the session's own.
///
/// # Errors
/// When a settings layer is not valid (exit 2).
pub fn intent_of<'a>(global: &Global, args: &Intent, checks: bool) -> Result<pipeline::Intent<'a>> {
    let layers = Layers::before_flake(global)?;
    let certain = layers.certain_hypervisor().map(|(_, address)| address);
    let tags = tags(&Layers::before_flake(global)?.with_flake(None)?);
    Ok(pipeline::Intent {
        flake: global.flake.clone(),
        rev: args.made.rev.clone(),
        typed: args.selection.vms.clone(),
        tags,
        overrides: global.overrides(),
        options: global.options(),
        certain,
        settle: Box::new(|inventory| settle(layers, inventory)),
        build_on: place_of(args.made.build_on),
        choices: Choices { no_restart: args.no_restart, start: args.start },
        checks,
        force_behind: args.force_behind,
    })
}

/// Where to build, in the pipeline's words.
pub fn place_of(build_on: BuildOn) -> pipeline::BuildOn {
    match build_on {
        BuildOn::Laptop => pipeline::BuildOn::Laptop,
        BuildOn::Hypervisor => pipeline::BuildOn::Hypervisor,
        BuildOn::Auto => pipeline::BuildOn::Auto,
    }
}

/// What the settings say about a hypervisor's own system, the flake's layer included.
///
/// # Errors
/// When a settings layer is not valid, or no hypervisor is named (exit 2).
pub fn host_place(
    global: &Global,
    output: Option<&DeployvmOutput>,
) -> Result<pipeline::host::Place<'static>> {
    let settled = Layers::before_flake(global)?.with_flake(output)?;
    let target = settled.hypervisor()?;
    Ok(pipeline::host::Place {
        configuration: target.settings.configuration.clone(),
        target: aimed(target),
        deadlines: settled.settings.defaults.deadlines(),
        vm: Box::new(move |vm, own| settled.vm(vm, Some(own))),
    })
}

/// All layers and the inventory together: which VMs, with what settings, where.
fn settle(layers: Layers, inventory: &Inventory) -> Result<Chosen> {
    let settled = layers.with_flake(inventory.output.as_ref())?;
    settled.check_vm_names(&inventory.names)?;
    let mut vms = BTreeMap::new();
    for (vm, wanted) in &inventory.vms {
        vms.insert(vm.clone(), settled.vm(vm, wanted.settings.as_ref())?);
    }
    let target = settled.hypervisor_of_all(&vms)?;
    Ok(Chosen { target: aimed(target), vms: vms.into_iter().collect() })
}

/// Reads a secret key; nothing of it is ever shown.
fn signing_key(file: &Utf8Path) -> Result<SigningKey> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read the key {file}: {error}")))?;
    SigningKey::read(file, &text).ok_or_else(|| {
        Failure::usage(format!("{file} is no secret key of Nix"))
            .help("make one with: nix key generate-secret --key-name NAME >FILE")
    })
}

/// What the pipeline needs to know of a hypervisor.
fn aimed(target: settings::hypervisor::Target) -> Target {
    let settings = target.settings;
    Target { name: target.name, address: target.address, flake: settings.flake, elevate: settings.elevate }
}

fn tags(settled: &Settled) -> BTreeMap<VmName, Vec<Word>> {
    let vms = settled.settings.vms.iter();
    vms.filter_map(|(vm, settings)| Some((vm.clone(), settings.tags.clone()?))).collect()
}
