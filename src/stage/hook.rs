//! The pre-push hook of a repository: put there before what is there already, and taken
//! away again. Nothing of anybody else's is ever changed: a hook that was there gets
//! another name and runs first, and gets its name back in the end.

mod arrival;
mod memory;
mod removal;

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest, Sha256};

use crate::error::{Aftermath, Failure, Result};
use crate::host::git::Around;
use crate::host::hooks;
use crate::model::hook::{Installed, Pushed, Remembered};
use crate::tool::git::{self, Owner, SCRIPT, owner};

pub use arrival::{arrive, errand, hand_over};
pub use memory::{ended, log, recall, take_ended};
pub use removal::uninstall;

/// What git runs.
const HOOK: &str = "pre-push";
/// What pre-commit runs before its own, and so never writes over.
const LEGACY: &str = "pre-push.legacy";
/// What lefthook makes of a hook that it finds, and does not run.
const OLD: &str = "pre-push.old";
/// What was there before; the script looks for this name.
const BEFORE: &str = "pre-push.before-deployvm";

/// Installs the hook, or what was said to it anew.
///
/// # Errors
/// 12 with what to do where it cannot be installed without touching what is somebody
/// else's, or a file cannot be written.
pub fn install(around: &Around, remembered: &Remembered) -> Result<Installed> {
    let dir = around.hooks()?;
    let mut notes = Vec::new();
    let known = memory::recall(around)?;
    let program = hooks::program().ok_or_else(|| Failure::bug("cannot tell where this program is"))?;
    make_dir(around, &dir)?;
    let slot = slot(&dir)?;
    match text_of(&slot)? {
        None => put(&slot, &dir)?,
        Some(text) if owner(&text) == Owner::Deployvm => {
            let ours = known.and_then(|k| k.script).is_some_and(|script| script == digest(&text));
            if text != SCRIPT.as_bytes() && ours {
                hooks::renew(&slot, SCRIPT.as_bytes(), 0o755).map_err(|e| unwritable(&slot, &e))?;
            } else if text != SCRIPT.as_bytes() {
                notes.push(format!("{slot} has changes of yours, and stays as it is"));
            }
        }
        Some(text) => {
            chain(&slot, &dir, &text)?;
            notes.extend(of_owner(owner(&text)));
        }
    }
    let script = digest(SCRIPT.as_bytes());
    memory::write(around, &Remembered { script: Some(script), ..remembered.clone() }, &program)?;
    if is_shared(around, &dir) {
        memory::enlist(around, &dir)?;
        notes.push(format!(
            "{dir} is where other repositories have their hooks, too: there this one does nothing until \
             `deployvm hook install` is run in them"
        ));
    } else if around.worktree().is_some_and(|top| dir.starts_with(top)) && !dir.starts_with(around.common()) {
        notes.push(of_worktree(&dir));
    }
    if owner_of(&dir.join(HOOK))? == Some(Owner::PreCommit) {
        notes.push(
            "pre-commit runs it before its own hooks, as it does with every hook that it finds".to_owned(),
        );
    }
    let before = Some(dir.join(BEFORE)).filter(|path| path.symlink_metadata().is_ok()).map(String::from);
    Ok(Installed { hook: slot.into(), before, notes })
}

/// The branches that git is about to push, from what it says on stdin.
///
/// # Errors
/// 2 when nobody has said anything, or not in git's words.
pub fn pushed() -> Result<Vec<Pushed>> {
    let lines = hooks::stdin().map_err(|e| Failure::usage(format!("cannot read what git says: {e}")))?;
    let lines = lines.ok_or_else(|| {
        Failure::usage("nobody says what is being pushed").help(
            "`deployvm hook run` is what git starts, see `deployvm hook install`; `deployvm plan` is for people",
        )
    })?;
    git::pushed(&lines).map_err(|line| {
        Failure::usage(format!("git does not say of a push: {line:?}")).help(
            "a pre-push hook is given `LOCAL-REF OBJECT REMOTE-REF OBJECT` on stdin, a line for each ref",
        )
    })
}

/// Gives what is there another name, and takes its place.
fn chain(slot: &Utf8Path, dir: &Utf8Path, text: &[u8]) -> Result<()> {
    let before = dir.join(BEFORE);
    if let Some(old) = text_of(&before)? {
        // Whoever writes hooks anew has done so, over ours: the old one is of no use.
        let rewritten = owner(&old) == owner(text) && matches!(owner(text), Owner::Lefthook | Owner::Husky);
        if old != text && !rewritten {
            let message = format!("{before} is left from before, and another hook is in its place now");
            return Err(Failure::new(Aftermath::Refused, message)
                .help(format!("see which of the two you need, and remove {before} or rename it to {slot}")));
        }
        hooks::remove(&before).map_err(|e| unwritable(&before, &e))?;
    }
    let old = dir.join(OLD);
    if text_of(&old)?.is_some_and(|text| text == SCRIPT.as_bytes()) {
        hooks::remove(&old).map_err(|e| unwritable(&old, &e))?;
    }
    hooks::rename(slot, &before).map_err(|e| unwritable(slot, &e))?;
    put(slot, dir).inspect_err(|_| {
        // As it was; if even that fails, the failure names the directory.
        let _ = hooks::rename(&before, slot);
    })
}

fn put(slot: &Utf8Path, dir: &Utf8Path) -> Result<()> {
    hooks::put(slot, SCRIPT.as_bytes(), 0o755).map_err(|e| unwritable(dir, &e))
}

/// Which file is to be ours: pre-commit's own stays where it is.
fn slot(dir: &Utf8Path) -> Result<Utf8PathBuf> {
    let hook = dir.join(HOOK);
    Ok(if owner_of(&hook)? == Some(Owner::PreCommit) { dir.join(LEGACY) } else { hook })
}

fn make_dir(around: &Around, dir: &Utf8Path) -> Result<()> {
    if dir.exists() && !dir.is_dir() {
        let set = around.hooks_path()?.unwrap_or_default();
        return Err(Failure::new(
            Aftermath::Refused,
            format!("git runs no hooks here: core.hooksPath is {set}, which is no directory"),
        )
        .help("see where it is set with `git config --show-origin core.hooksPath`"));
    }
    hooks::make_dir(dir, 0o755).map_err(|e| unwritable(dir, &e))
}

/// Whether the directory is neither in the repository nor in its working tree.
fn is_shared(around: &Around, dir: &Utf8Path) -> bool {
    !dir.starts_with(around.common()) && around.worktree().is_none_or(|top| !dir.starts_with(top))
}

fn of_owner(owner: Owner) -> Option<String> {
    let (who, when, place) = match owner {
        Owner::Lefthook => (
            "lefthook",
            "its configuration changes",
            "a command of pre-push in lefthook.yml, with use_stdin: true",
        ),
        Owner::Husky => ("husky", "packages are installed", ".husky/pre-push"),
        _ => return None,
    };
    Some(format!(
        "{who} writes its hooks anew when {when}, and takes this one away: run `deployvm hook install` again \
         then, or have {who} run `deployvm hook run` ({place}; docs/hook.md says how)"
    ))
}

fn of_worktree(dir: &Utf8Path) -> String {
    format!(
        "{dir} is a part of the working tree: if you commit the hook, commit all of its files there; in other \
         clones it does nothing until `deployvm hook install` is run in them"
    )
}

fn owner_of(path: &Utf8Path) -> Result<Option<Owner>> {
    Ok(text_of(path)?.map(|text| owner(&text)))
}

fn text_of(path: &Utf8Path) -> Result<Option<Vec<u8>>> {
    hooks::read(path).map_err(|error| {
        Failure::new(Aftermath::Refused, format!("cannot read {path}: {error}"))
            .help("nothing was installed; make it readable, then try again")
    })
}

fn digest(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

fn unwritable(path: &Utf8Path, error: &io::Error) -> Failure {
    Failure::new(Aftermath::Refused, format!("cannot write {path}: {error}")).help(
        "where hooks are somebody else's to write, put this line into their pre-push hook, with the options that \
         you need before `hook`:\n    deployvm hook run \"$@\"",
    )
}
