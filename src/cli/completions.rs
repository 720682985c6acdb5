//! `deployvm completions`: what a shell needs to complete deployvm's command line.

use std::io::Write as _;

use clap::{Command, ValueEnum};
use clap_complete::{Generator, Shell as Known};
use clap_complete_nushell::Nushell;

use crate::error::Result;

/// Print completions for a shell
///
/// For bash, in ~/.bashrc: source <(deployvm completions bash). For fish: deployvm completions fish >
/// ~/.config/fish/completions/deployvm.fish. For zsh: deployvm completions zsh > a file _deployvm in
/// a directory of $fpath.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// A shell that can be taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "clap would show doc comments beside names that say it all")]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Nushell,
    Elvish,
    Powershell,
}

/// Prints them for this command line.
///
/// # Errors
/// None.
pub fn run(args: Args, mut command: Command) -> Result<u8> {
    let command = &mut command;
    let script = match args.shell {
        Shell::Bash => script(Known::Bash, command),
        Shell::Zsh => script(Known::Zsh, command),
        Shell::Fish => script(Known::Fish, command),
        Shell::Nushell => script(Nushell, command),
        Shell::Elvish => script(Known::Elvish, command),
        Shell::Powershell => script(Known::PowerShell, command),
    };
    // A reader that closed the pipe has seen enough.
    let _ = std::io::stdout().lock().write_all(&script);
    Ok(0)
}

fn script(shell: impl Generator, command: &mut Command) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, command, "deployvm", &mut text);
    text
}
