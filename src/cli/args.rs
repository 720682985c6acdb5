//! Options that every command has, and groups of options that several commands share.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{ArgAction, Args, ValueEnum};

use crate::error::{self, Failure, without_secrets};
use crate::model::address::Address;

// No doc comment: clap would take it for the help text of every command.
#[expect(missing_docs, reason = "clap would show a doc comment as the command's own help text")]
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The flake to deploy from [default: the one around the current directory]
    #[arg(long, global = true, value_name = "REF")]
    pub flake: Option<String>,

    /// The hypervisor: a name from the settings, [USER@]HOST[:PORT], or local
    #[arg(short = 'H', long, global = true, value_name = "NAME|ADDRESS")]
    pub hypervisor: Option<String>,

    /// The table [environments.NAME] of deployvm.toml to use [default: $DEPLOYVM_ENV, or none]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub env: Option<String>,

    /// Print JSON on stdout, one object a line
    #[arg(long, global = true)]
    pub json: bool,

    /// Do not ask
    #[arg(short, long, global = true)]
    pub yes: bool,

    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more; twice: every program that is started
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// When to use colours: auto (which honours NO_COLOR), always or never [default: auto]
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub color: Color,

    /// Also append plan and result to this file, as Markdown [$GITHUB_STEP_SUMMARY gets them anyway]
    #[arg(long, global = true, value_name = "FILE")]
    pub summary: Option<Utf8PathBuf>,

    /// Replace an input of the flake, as in Nix; may be given several times
    #[arg(long, global = true, num_args = 2, value_names = ["INPUT", "REF"])]
    pub override_input: Vec<String>,

    /// Set an option of Nix, as in Nix; may be given several times
    #[arg(long, global = true, num_args = 2, value_names = ["NAME", "VALUE"])]
    pub option: Vec<String>,

    // Not typed: whether the command does nothing but answer.
    #[arg(skip)]
    pub answers: bool,

    // Not typed: what the git hook works with.
    #[arg(skip)]
    pub committed: Option<Committed>,
}

/// A commit's `deployvm.toml`, instead of the working tree's.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// Its text, if there is such a file.
    pub toml: Option<Vec<u8>>,
    /// What to call it.
    pub name: String,
}

impl Global {
    /// Inputs to replace, with their replacements.
    pub fn overrides(&self) -> Vec<(String, String)> {
        pairs(&self.override_input)
    }

    /// Nix options with their values.
    pub fn options(&self) -> Vec<(String, String)> {
        pairs(&self.option)
    }

    /// Refuses what Nix, and curl behind it, would be given as an argument for everybody on
    /// this machine to see.
    ///
    /// # Errors
    /// Exit 2 for a URL with a password or token in it, which a user's name may be as well
    /// where that is not the name of an account, as with ssh.
    pub fn refuse_secrets(&self) -> error::Result<()> {
        let overrides = self.overrides();
        let inputs = overrides.iter().map(|(_, reference)| ("--override-input", reference));
        let all = self.flake.iter().map(|flake| ("--flake", flake)).chain(inputs);
        for (option, reference) in all {
            if without_secrets(reference) != *reference {
                return Err(Failure::usage(format!(
                    "{option} has a user, password or token in its URL, which everybody on this machine could read among Nix's arguments"
                ))
                .help("leave out what stands before the @, and put it into access-tokens of your nix.conf, or into the file of its netrc-file"));
            }
        }
        Ok(())
    }
}

fn pairs(flat: &[String]) -> Vec<(String, String)> {
    flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Where derivations are built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum BuildOn {
    /// On this machine
    Laptop,
    /// On the hypervisor
    Hypervisor,
    /// On this machine if it can build for the VM's system, otherwise on the hypervisor
    #[default]
    Auto,
}

#[expect(missing_docs, reason = "clap would show a doc comment as the command's own help text")]
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// VMs by name, glob ('vm*') or tag (@web) [default: all]
    #[arg(value_name = "VM")]
    pub vms: Vec<String>,
}

#[expect(missing_docs, reason = "clap would show a doc comment as the command's own help text")]
#[derive(Debug, Clone, Default, Args)]
pub struct Queue {
    /// Wait so long, such as 90s or 10m, for others who work on the same VMs, instead of giving up
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
}

/// `90`, `90s`, `10m`, `1h30m`.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    parsed.ok_or_else(|| "write seconds, or a duration such as 90s, 10m or 1h30m".to_owned())
}

#[expect(missing_docs, reason = "clap would show a doc comment as the command's own help text")]
#[derive(Debug, Clone, Default, Args)]
pub struct Confirmation {
    /// Confirm over this address, [USER@]HOST[:PORT]: for a change that moves the hypervisor there
    #[arg(long, value_name = "ADDRESS")]
    pub confirm_from: Option<Address>,
}

// How what is wanted is made: of which commit, where, and signed by whom.
#[expect(missing_docs, reason = "clap would show a doc comment as the command's own help text")]
#[derive(Debug, Clone, Default, Args)]
pub struct Made {
    /// Where to build: laptop, hypervisor, or auto (here if this machine can) [default: auto]
    #[arg(long, value_name = "WHERE", default_value = "auto")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub build_on: BuildOn,

    /// Deploy this commit instead of the working tree
    #[arg(long, value_name = "REV")]
    pub rev: Option<String>,

    /// Sign what is copied with this secret key, for a hypervisor whose Nix does not trust the user
    #[arg(long, value_name = "FILE")]
    pub sign_key: Option<Utf8PathBuf>,
}

// What `push` and `plan` have in common: everything that changes the plan.
#[expect(missing_docs, reason = "clap would show a doc comment as the command's own help text")]
#[derive(Debug, Clone, Default, Args)]
pub struct Intent {
    #[command(flatten)]
    pub selection: Selection,

    /// Stage the new system without restarting: the next start boots it
    #[arg(long)]
    pub no_restart: bool,

    /// Also start VMs that are stopped
    #[arg(long, conflicts_with = "no_restart")]
    pub start: bool,

    #[command(flatten)]
    pub made: Made,

    /// Go on where what runs was deployed from a commit that this one does not contain
    #[arg(long)]
    pub force_behind: bool,

    /// Switch so many VMs at the same time [default: 1]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h 30m", 5400), ("0", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "soon", "-5s", "5 apples"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
