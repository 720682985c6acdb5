//! Turns Nix's complaint about a flake into a failure that says what to type.

use crate::error::Failure;
use crate::host::git;
use crate::model::argv::Argv;
use crate::tool::nix::errors::{Known, Message};

/// The complaint as a failure of `doing`. `trace` is what asks Nix the same, with all that
/// it has to say.
pub fn failure(message: &Message, doing: &str, flake: &str, trace: &Argv) -> Failure {
    message.failure(doing).help(remedy(message, flake, trace))
}

/// What to do about it, or how to find that out.
pub fn remedy(message: &Message, flake: &str, trace: &Argv) -> String {
    let Some(known) = &message.known else { return format!("to see all that Nix says: {trace}") };
    let Known::Untracked(path) = known else { return known.help() };
    if flake.contains("rev=") {
        return format!("that commit has no file {path}: commit it, or leave out --rev");
    }
    let Some(root) = git::checkout(flake.into()).ok().flatten().map(|c| c.root) else {
        return known.help();
    };
    if root.join(path).exists() {
        // Not tracked, or ignored.
        return format!("a flake sees only what git tracks: git -C {root} add {path}");
    }
    format!("there is no file {path} in {root}: mend the reference to it, or add it and `git add` it")
}
