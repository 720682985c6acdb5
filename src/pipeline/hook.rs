//! The git hook: where it is installed, and which commits a push is about.

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::{Failure, Result};
use crate::host::git::{self, Around};
use crate::host::machine;
use crate::model::event::{Event, Events};
use crate::model::hook::{Installed, Remembered, Removed};
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
        let dir = Utf8Path::new(&remembered.directory);
        if around.file(&branch.commit, &dir.join("flake.nix"))?.is_none() {
            let message = format!("{} has no {}: it is not looked at", branch.branch, dir.join("flake.nix"));
            events.send(Event::Warning { message });
            continue;
        }
        let flake = of_commit(&around, dir, &branch.commit)?;
        let toml = around.file(&branch.commit, &dir.join("deployvm.toml"))?;
        tips.push(Tip { branches: vec![branch.branch], commit: branch.commit, flake, toml });
    }
    Ok(tips)
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
