//! Turns Nix's complaint about a flake into a failure that says what to type.

use crate::error::Failure;
use crate::host::git;
use crate::tool::nix::errors::{Known, Message};

/// The complaint as a failure of `doing`.
pub fn failure(message: &Message, doing: &str, flake: &str) -> Failure {
    let failure = message.failure(doing);
    match remedy(message, flake) {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// What to do about it, if that is known.
pub fn remedy(message: &Message, flake: &str) -> Option<String> {
    let known = message.known.as_ref()?;
    let Known::Untracked(path) = known else { return Some(known.help()) };
    if flake.contains("rev=") {
        return Some(format!("that commit has no file {path}: commit it, or leave out --rev"));
    }
    let Some(root) = git::checkout(flake.into()).ok().flatten().map(|c| c.root) else {
        return Some(known.help());
    };
    if root.join(path).exists() {
        // Not tracked, or ignored.
        return Some(format!("a flake sees only what git tracks: git -C {root} add {path}"));
    }
    Some(format!("there is no file {path} in {root}: mend the reference to it, or add it and `git add` it"))
}
