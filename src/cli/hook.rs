//! `deployvm hook`: the git pre-push hook.

mod after;

use std::time::Duration;

use super::args::{Committed, Global, Intent, Selection, duration};
use super::push::possible;
use super::session::{self, Session};
use super::settings::env;
use crate::error::{Aftermath, Failure, Result, without_secrets};
use crate::model::event::Event;
use crate::model::hook::Remembered;
use crate::model::plan::How;
use crate::pipeline::glance::glance;
use crate::pipeline::hook::{self, Tip};

/// Plan before every git push, by a pre-push hook
///
/// `hook install` has git run `hook run` before each push: it plans for the tip of every branch
/// that is pushed, and stops the push when that does not evaluate or cannot be deployed. Nothing
/// is built, and nothing deployed but what `--deploy` names, after the push. Ways out: git push --no-verify, or DEPLOYVM_SKIP=1.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do with the hook.
#[derive(Debug, Clone, clap::Subcommand)]
#[expect(missing_docs, reason = "the doc comment of each Args is its help text; one here would replace it")]
pub enum Verb {
    Install(Install),
    Run(Run),
    Uninstall(Uninstall),
    #[command(hide = true)]
    After(After),
}

/// Install the hook in this repository, before what is there already
///
/// Options of every command that are given here hold for every push: the hypervisor, the
/// environment, inputs and options for Nix, -q and -v. Installing again changes them.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Install {
    /// What to plan for.
    #[command(flatten)]
    pub selection: Selection,

    /// Look only at branches of this name, or glob; may be given several times [default: all]
    #[arg(long, value_name = "BRANCH")]
    pub branch: Vec<String>,

    /// Deploy this branch, or glob, without asking, once it has been pushed; may be given several times
    #[arg(long, value_name = "BRANCH")]
    pub deploy: Vec<String>,

    /// Hold a push up for at most so long, such as 90s or 5m: servers end connections that are idle [default: 4m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub limit: Option<Duration>,
}

/// What git runs: reads its lines about refs from stdin
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Run {
    /// The remote's name and URL, as git gives them
    #[arg(value_name = "REMOTE", num_args = 0..=2)]
    pub remote: Vec<String>,
}

/// Take the hook away, and put back what was there
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Uninstall {}

/// Waits for the end of a push and deploys what was pushed: started by the hook itself
#[derive(Debug, Clone, Default, clap::Args)]
pub struct After {}

/// Longer than a plan takes, and shorter than the patience of those who serve git.
const LIMIT: Duration = Duration::from_secs(240);
const WAYS_OUT: &str = "to push all the same: git push --no-verify, or DEPLOYVM_SKIP=1 git push";
const SHORT: usize = 9;

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    match args.verb {
        Verb::Install(args) => {
            session::run(global, false, async move |session| install(session, &args)).await
        }
        Verb::Uninstall(_) => session::run(global, false, async |session| uninstall(session)).await,
        Verb::Run(args) => before_push(global, &args).await,
        Verb::After(_) => after::run().await,
    }
}

fn install(session: &Session<'_>, args: &Install) -> Result<u8> {
    let global = session.global;
    let remembered = Remembered {
        hypervisor: global.hypervisor.clone(),
        env: global.env.clone(),
        overrides: global.overrides(),
        options: global.options(),
        quiet: global.quiet,
        verbose: global.verbose,
        vms: args.selection.vms.clone(),
        branches: args.branch.clone(),
        deploy: args.deploy.clone(),
        limit: args.limit.map(|limit| limit.as_secs()),
        ..Remembered::default()
    };
    refuse_secrets(&remembered)?;
    let installed = hook::install(&remembered, global.flake.as_deref())?;
    if session.reporter.is_json() {
        session.reporter.object(&installed);
        return Ok(0);
    }
    let line = |text: String| session.reporter.line(&text);
    line(format!("installed {}", installed.hook));
    if let Some(before) = &installed.before {
        line(format!("what was there runs first: {before}"));
    }
    for note in &installed.notes {
        session.reporter.remark(&format!("note: {note}"));
    }
    session
        .reporter
        .remark("git push plans first from now on; `deployvm hook uninstall` puts back what was here");
    Ok(0)
}

/// What is remembered can be read by whoever reads the repository.
fn refuse_secrets(remembered: &Remembered) -> Result<()> {
    let secret = |(name, value): &&(String, String)| {
        name.ends_with("access-tokens") || without_secrets(value) != *value
    };
    match remembered.options.iter().chain(&remembered.overrides).find(secret) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Failure::usage(format!("{name} has a password or token, which the hook must not keep"))
                .help("put it into your own nix.conf or netrc"))
        }
    }
}

fn uninstall(session: &Session<'_>) -> Result<u8> {
    let removed = hook::uninstall()?;
    if session.reporter.is_json() {
        session.reporter.object(&removed);
    } else {
        if let Some(hook) = &removed.hook {
            session.reporter.line(&format!("removed {hook}"));
        }
        if removed.restored {
            session.reporter.line("what was there before is back");
        }
        for note in &removed.notes {
            session.reporter.line(note);
        }
    }
    if removed.left.is_empty() {
        return Ok(0);
    }
    Err(Failure::new(Aftermath::Refused, removed.left.join("; "))
        .help("deployvm does nothing here any more; take out by hand what you do not need"))
}

/// Plans for what is being pushed.
async fn before_push(typed: &Global, args: &Run) -> Result<u8> {
    if env::skips() {
        return Ok(0);
    }
    // What cannot be read is reported like every other failure.
    let (remembered, problem) = match hook::recall(typed.flake.as_deref()) {
        Ok(remembered) => (remembered, None),
        Err(failure) => (Remembered::default(), Some(failure)),
    };
    let global = merged(typed, &remembered);
    let remembered = Remembered { overrides: global.overrides(), options: global.options(), ..remembered };
    let (hypervisor, env) = (global.hypervisor.clone(), global.env.clone());
    let remembered = Remembered { hypervisor, env, ..remembered };
    session::with_pulse(&global, async |session| {
        let work = async {
            match problem {
                Some(failure) => Err(failure),
                None => look(session, &remembered, args).await,
            }
        };
        let limit = remembered.limit.map_or(LIMIT, Duration::from_secs);
        let result = tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(too_long(limit)));
        result.map_err(|failure| {
            let help = failure.help.clone().map(|help| format!("{help}\n")).unwrap_or_default();
            failure.help(format!("{help}{WAYS_OUT}"))
        })
    })
    .await
}

async fn look(session: &Session<'_>, remembered: &Remembered, args: &Run) -> Result<u8> {
    if let Some(how) = hook::take_ended()? {
        session.context.events.send(Event::Warning { message: how });
    }
    let tips = hook::tips(remembered, &session.context.events)?;
    for tip in &tips {
        let commit = tip.commit.get(..SHORT).unwrap_or(&tip.commit);
        let branches = tip.branches.join(", ");
        session.reporter.remark(&format!("deployvm: planning for {branches} ({commit})"));
        one(session, remembered, tip).await?;
    }
    let Some(url) = args.remote.get(1) else {
        if !remembered.deploy.is_empty() && !tips.is_empty() {
            let message =
                "nothing is deployed after this push: whoever runs the hook does not hand on git's \
                           arguments, the remote and its URL"
                    .to_owned();
            session.context.events.send(Event::Warning { message });
        }
        return Ok(0);
    };
    if let Some((branches, log)) = hook::hand_over(remembered, url, &tips)? {
        let remark = format!(
            "deployvm: {branches} will be deployed once it is on the remote; to see how: tail -f {log}"
        );
        session.reporter.remark(&remark);
    }
    Ok(0)
}

/// Options for work on one commit: its own settings count.
fn of_tip(global: &Global, remembered: &Remembered, tip: &Tip) -> Global {
    let file = camino::Utf8Path::new(&remembered.directory).join("deployvm.toml");
    let name = format!("{file} of commit {}", tip.commit);
    Global {
        flake: Some(tip.flake.clone()),
        committed: Some(Committed { toml: tip.toml.clone(), name }),
        ..global.clone()
    }
}

/// Plans for one commit, with its own settings.
async fn one(session: &Session<'_>, remembered: &Remembered, tip: &Tip) -> Result<()> {
    let global = of_tip(session.global, remembered, tip);
    let intent = Intent {
        selection: Selection { vms: remembered.vms.clone() },
        // A branch that is only pushed need not contain what somebody has deployed.
        force_behind: !hook::deploys(remembered, tip)?,
        ..Intent::default()
    };
    let intent = session::intent_of(&global, &intent, true)?;
    let plan = glance(&session.context, intent).await?;
    session.reporter.proposal(&plan);
    possible(&plan)?;
    let refused: Vec<&str> =
        plan.moves.iter().filter(|m| matches!(m.how, How::Refuse(_))).map(|m| m.vm.as_str()).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let message = format!("a push would not touch {}: the plan says why", refused.join(", "));
    Err(Failure::new(Aftermath::Refused, message)
        .help("to leave VMs out, name the others: deployvm hook install VM…"))
}

fn too_long(limit: Duration) -> Failure {
    let message =
        format!("the plan was not ready after {} s, and a push that waits longer breaks", limit.as_secs());
    Failure::new(Aftermath::NotBuilt, message).help(
        "what was evaluated is remembered: plan first with `deployvm plan --rev COMMIT`, then push; or allow more \
         time with `deployvm hook install --limit 10m`",
    )
}

/// What was said to `install`, and what is said now, which wins.
fn merged(typed: &Global, remembered: &Remembered) -> Global {
    let flat = |pairs: &[(String, String)], more: &[String]| -> Vec<String> {
        let pairs = pairs.iter().flat_map(|(a, b)| [a.clone(), b.clone()]);
        pairs.chain(more.iter().cloned()).collect()
    };
    Global {
        hypervisor: typed.hypervisor.clone().or_else(|| remembered.hypervisor.clone()),
        env: typed.env.clone().or_else(|| remembered.env.clone()),
        quiet: (typed.quiet || remembered.quiet) && typed.verbose == 0,
        verbose: typed.verbose.max(if typed.quiet { 0 } else { remembered.verbose }),
        override_input: flat(&remembered.overrides, &typed.override_input),
        option: flat(&remembered.options, &typed.option),
        ..typed.clone()
    }
}
