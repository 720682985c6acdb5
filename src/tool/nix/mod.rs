//! The vocabulary of Nix, for versions 2.8 to 2.34 alike: how it is asked, and how
//! its answers and complaints are read. One file per noun; nothing here starts a
//! program. Where the versions differ, the text forms that agree are used.

pub mod build;
pub mod closure;
pub mod copy;
pub mod data;
pub mod errors;
pub mod eval;
pub mod internal_json;
pub mod metadata;
pub mod version;

use crate::model::argv::Argv;

/// What the user hands through to Nix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassThrough {
    /// `--override-input INPUT REF`.
    pub overrides: Vec<(String, String)>,
    /// `--option NAME VALUE`.
    pub options: Vec<(String, String)>,
}

/// `nix SUBCOMMAND …` with what every call needs.
pub fn nix<'a>(subcommand: impl IntoIterator<Item = &'a str>) -> Argv {
    Argv::new("nix")
        // Off by default in every version, and needed by each command used here.
        // A flag rather than NIX_CONFIG, which may be the user's own.
        .args(["--extra-experimental-features", "nix-command flakes"])
        .args(subcommand)
        // Nix starts git. In a process group of its own a question on the terminal
        // would stop it for ever: better to fail and say why.
        .env("GIT_TERMINAL_PROMPT", "0")
}

/// A command that reads a flake.
fn on_flake<'a>(
    subcommand: impl IntoIterator<Item = &'a str>,
    flake: String,
    pass: &PassThrough,
    rest: &[&str],
) -> Argv {
    let mut argv = nix(subcommand)
        // Looking must not change the user's tree; Nix would write missing entries
        // and even `git add` the file.
        .arg("--no-write-lock-file")
        // Said once by the plan rather than once by every process.
        .arg("--no-warn-dirty");
    for (input, reference) in &pass.overrides {
        argv = argv.args(["--override-input", input, reference]);
    }
    argv = options(argv, pass);
    // After the user's options, so that ours hold.
    argv.args(rest.iter().copied()).arg(flake)
}

/// Adds the user's `--option NAME VALUE`.
fn options(mut argv: Argv, pass: &PassThrough) -> Argv {
    for (name, value) in &pass.options {
        argv = argv.args(["--option", name, value]);
    }
    argv
}
