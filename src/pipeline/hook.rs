//! The git hook: where it is installed, and which commits a push is about.

use camino::{Utf8Path, Utf8PathBuf};

use super::Context;
use crate::error::{Aftermath, Failure, Result};
use crate::host::git::{self, Around};
use crate::host::machine;
use crate::model::event::{Event, Events};
use crate::model::hook::{Errand, Installed, Pushed, Remembered, Removed};
use crate::plan::select;
use crate::stage::evaluate::of_commit;
use crate::stage::hook;

/// A commit that a branch will be at once it is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// The branches, as they are called on the remote.
    pub branches: Vec<String>,
    /// The commit.
    pub commit: String,
    /// The flake in it, as Nix reads it.
    pub flake: String,
    /// The `deployvm.toml` beside it.
    pub toml: Option<Vec<u8>>,
}

/// Installs the hook of this repository.
///
/// # Errors
/// 2 for what makes no sense, 12 where it cannot be installed.
pub fn install(remembered: &Remembered, flake: Option<&str>) -> Result<Installed> {
    select::covers_branch(&remembered.branches, "")?;
    select::covers_branch(&remembered.deploy, "")?;
    let around = Around::here()?;
    let directory = directory(&around, flake)?.into();
    hook::install(&around, &Remembered { directory, ..remembered.clone() })
}

/// Takes it away again.
///
/// # Errors
/// 2 outside of a repository, 12 where something is in the way.
pub fn uninstall() -> Result<Removed> {
    hook::uninstall(&Around::here()?)
}

/// What the hook of this repository was told. `flake` is what is said now.
///
/// # Errors
/// 2 outside of a repository, or when it cannot be read.
pub fn recall(flake: Option<&str>) -> Result<Remembered> {
    let around = Around::here()?;
    let mut remembered = hook::recall(&around)?.unwrap_or_default();
    if flake.is_some() {
        remembered.directory = directory(&around, flake)?.into();
    }
    Ok(remembered)
}

/// The commits that git is about to push, from what it says on stdin. Says why a branch
/// is left out.
///
/// # Errors
/// 2 when nobody has said anything, or not in git's words; 10 when the repository cannot
/// be read.
pub fn tips(remembered: &Remembered, events: &Events) -> Result<Vec<Tip>> {
    let pushed = hook::pushed()?;
    let around = Around::here()?;
    let mut tips: Vec<Tip> = Vec::new();
    for branch in pushed {
        if !select::covers_branch(&remembered.branches, &branch.branch)? {
            continue;
        }
        if let Some(tip) = tips.iter_mut().find(|tip| tip.commit == branch.commit) {
            tip.branches.push(branch.branch);
            continue;
        }
        match tip(&around, remembered, &branch)? {
            Some(tip) => tips.push(tip),
            None => {
                let file = Utf8Path::new(&remembered.directory).join("flake.nix");
                let message = format!("{} has no {file}: it is not looked at", branch.branch);
                events.send(Event::Warning { message });
            }
        }
    }
    Ok(tips)
}

/// The tip of one branch; `None` where there is no flake in it.
fn tip(around: &Around, remembered: &Remembered, pushed: &Pushed) -> Result<Option<Tip>> {
    let Pushed { branch, commit } = pushed.clone();
    let dir = Utf8Path::new(&remembered.directory);
    if around.file(&commit, &dir.join("flake.nix"))?.is_none() {
        return Ok(None);
    }
    let flake = of_commit(around, dir, &commit)?;
    let toml = around.file(&commit, &dir.join("deployvm.toml"))?;
    Ok(Some(Tip { branches: vec![branch], commit, flake, toml }))
}

/// Whether one of its branches is to be deployed after the push.
///
/// # Errors
/// 2 for a glob that is none.
pub fn deploys(remembered: &Remembered, tip: &Tip) -> Result<bool> {
    let mut deploys = false;
    for branch in tip.branches.iter().filter(|_| !remembered.deploy.is_empty()) {
        deploys |= select::covers_branch(&remembered.deploy, branch)?;
    }
    Ok(deploys)
}

/// Hands over what is to be deployed of these, for after the push. Returns the branches,
/// and the log in which the rest is told.
///
/// # Errors
/// 12 when it cannot be done.
pub fn hand_over(remembered: &Remembered, url: &str, tips: &[Tip]) -> Result<Option<(String, Utf8PathBuf)>> {
    if remembered.deploy.is_empty() {
        return Ok(None);
    }
    let around = Around::here()?;
    let mut handed = None;
    for tip in tips {
        for branch in &tip.branches {
            if select::covers_branch(&remembered.deploy, branch)? {
                let pushed = Pushed { branch: branch.clone(), commit: tip.commit.clone() };
                let errand = Errand { pushed, url: url.to_owned(), remembered: remembered.clone() };
                let log = hook::hand_over(&around, &errand)?;
                let before = handed.map(|(names, _)| format!("{names}, ")).unwrap_or_default();
                handed = Some((format!("{before}{branch}"), log));
            }
        }
    }
    Ok(handed)
}

/// What was handed over to this process, and the commit that is to be deployed.
///
/// # Errors
/// 2 when it is nothing, 10 when the commit is not here any more.
pub fn errand() -> Result<(Errand, Tip)> {
    let errand = hook::errand()?;
    let tip = tip(&Around::here()?, &errand.remembered, &errand.pushed)?;
    let tip = tip.ok_or_else(|| Failure::usage(format!("{} has no flake", errand.pushed.commit)))?;
    Ok((errand, tip))
}

/// Waits until the remote has it. Ctrl-C is obeyed in here.
///
/// # Errors
/// 12 when it does not get there.
pub async fn arrive(context: &Context, errand: &Errand) -> Result<()> {
    context.unless_interrupted(Aftermath::Declined, hook::arrive(errand)).await
}

/// The log of deployments after pushes.
///
/// # Errors
/// 12 when there can be none.
pub fn log() -> Result<Utf8PathBuf> {
    hook::log(&Around::here()?)
}

/// Keeps how it ended, for whoever pushes next.
///
/// # Errors
/// 12 when that cannot be written.
pub fn ended(how: &str) -> Result<()> {
    hook::ended(&Around::here()?, how)
}

/// How the last deployment after a push ended, if nobody has heard of it.
///
/// # Errors
/// 12 when that cannot be read.
pub fn take_ended() -> Result<Option<String>> {
    hook::take_ended(&Around::here()?)
}

/// Where the flake is below the top of the repository.
fn directory(around: &Around, flake: Option<&str>) -> Result<Utf8PathBuf> {
    let text = flake.unwrap_or(".");
    if !text.starts_with(['.', '/']) || text.contains(['?', '#']) {
        return Err(Failure::usage(format!(
            "the hook looks at the commits of this repository, not at {text}"
        ))
        .help("with --flake, name the flake's directory in this repository, such as ./infra"));
    }
    let Some(top) = around.worktree() else {
        // Nothing is checked out that could be asked.
        let inside = Utf8Path::new(text.trim_start_matches("./").trim_end_matches('/'));
        let plain = inside.components().all(|part| matches!(part, camino::Utf8Component::Normal(_)));
        return match inside.as_str() {
            "." | "" => Ok(Utf8PathBuf::new()),
            _ if plain => Ok(inside.to_owned()),
            _ => Err(Failure::usage(format!("{text} is no directory below the top of a commit"))
                .help("write it as in a commit, such as ./infra")),
        };
    };
    let here = machine::current_dir()?;
    let found = git::nearest_flake(&here.join(text));
    let found = found.as_deref().and_then(|dir| dir.strip_prefix(top).ok());
    found.map(Utf8Path::to_owned).ok_or_else(|| {
        Failure::usage(format!("no flake of this repository is in {}", here.join(text)))
            .help("change to its directory, or name it with --flake")
    })
}
