//! `deployvm completions`: what a shell needs to complete deployvm's command line.

use clap::{Command, ValueEnum};
use clap_complete::{Generator, Shell as Known};
use clap_complete_nushell::Nushell;

use super::crash::print;
use crate::error::Result;

/// Print completions for a shell
///
/// For bash, in ~/.bashrc: source <(deployvm completions bash). For fish: deployvm completions fish >
/// ~/.config/fish/completions/deployvm.fish. For zsh: deployvm completions zsh > a file _deployvm in
/// a directory of $fpath. For nushell: deployvm completions nushell > deployvm.nu, and in config.nu:
/// use /path/to/deployvm.nu *
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
/// When not all could be written (1).
pub fn run(args: Args, command: &Command) -> Result<u8> {
    let command = &mut visible(command);
    let script = match args.shell {
        Shell::Bash => script(Known::Bash, command),
        Shell::Zsh => script(Known::Zsh, command),
        Shell::Fish => script(Known::Fish, command),
        Shell::Nushell => script(Nushell, command),
        Shell::Elvish => script(Known::Elvish, command),
        Shell::Powershell => script(Known::PowerShell, command),
    };
    print(&script)
}

/// A command without what its help does not show either: generators would offer it.
fn visible(command: &Command) -> Command {
    let mut visible = Command::new(command.get_name().to_owned())
        .disable_help_subcommand(true)
        .about(command.get_about().cloned().unwrap_or_default())
        .args(command.get_arguments().filter(|argument| !argument.is_hide_set()).cloned())
        .groups(command.get_groups().cloned())
        .visible_aliases(command.get_visible_aliases().map(str::to_owned).collect::<Vec<_>>())
        .subcommands(command.get_subcommands().filter(|c| !c.is_hide_set()).map(self::visible));
    // It decides what --help says of itself.
    if let Some(long) = command.get_long_about() {
        visible = visible.long_about(long.clone());
    }
    if let Some(version) = command.get_version() {
        visible = visible.version(version.to_owned());
    }
    visible
}

fn script(shell: impl Generator, command: &mut Command) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, command, "deployvm", &mut text);
    text
}
