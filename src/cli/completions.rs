//! `deployvm completions`: what a shell needs to complete deployvm's command line.

use std::io::Write as _;

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::{Generator, Shell as Known};
use clap_complete_nushell::Nushell;

use super::args::Cli;
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

/// Prints them.
///
/// # Errors
/// None.
pub fn run(args: Args) -> Result<u8> {
    let script = match args.shell {
        Shell::Bash => script(Known::Bash),
        Shell::Zsh => script(Known::Zsh),
        Shell::Fish => script(Known::Fish),
        Shell::Nushell => script(Nushell),
        Shell::Elvish => script(Known::Elvish),
        Shell::Powershell => script(Known::PowerShell),
    };
    // A reader that closed the pipe has seen enough.
    let _ = std::io::stdout().lock().write_all(&script);
    Ok(0)
}

fn script(shell: impl Generator) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "deployvm", &mut text);
    text
}
