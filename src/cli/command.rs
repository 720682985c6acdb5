//! The command line's own shape: the list of commands. Only commands that exist stand
//! in it, so that `--help` promises nothing else.

use clap::{Parser, Subcommand};

use super::args::Global;
use super::{
    check, completions, config, diff, doctor, generations, history, hook, host, init, logs, man, pin, plan,
    prune, push, retire, rollback, run, ssh, status, unit,
};

/// Deploys NixOS microVMs from a flake to a hypervisor, checks them, and puts the
/// previous generation back when something is wrong.
#[derive(Debug, Parser)]
#[command(name = "deployvm", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, 2 wrong usage or settings, 3 changes found, 10-13 nothing touched, 20 only the store touched, 30 and 31 restored, 32 failed and left, \
    40 unknown, 130 declined."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// The commands; each one's `Args` says what it does.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the doc comment of each Args is its help text; one here would replace it")]
pub enum Command {
    Push(push::Args),
    Plan(plan::Args),
    Diff(diff::Args),
    Status(status::Args),
    Check(check::Args),
    Generations(generations::Args),
    Rollback(rollback::Args),
    History(history::Args),
    Logs(logs::Args),
    Ssh(ssh::Args),
    Console(logs::Console),
    Run(run::Args),
    Start(unit::Start),
    Stop(unit::Stop),
    Restart(unit::Restart),
    Retire(retire::Args),
    Pin(pin::Pin),
    Unpin(pin::Unpin),
    Prune(prune::Args),
    Doctor(doctor::Args),
    Init(init::Args),
    Host(host::Args),
    Hook(hook::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// Whether it changes nothing, and its exit code is about its answer alone.
    pub fn only_answers(&self) -> bool {
        match self {
            Self::Plan(_) | Self::Diff(_) | Self::Status(_) | Self::Check(_) | Self::Doctor(_) => true,
            Self::Generations(_) | Self::History(_) | Self::Logs(_) | Self::Console(_) => true,
            Self::Config(_) | Self::Completions(_) | Self::Man(_) => true,
            Self::Push(args) => args.dry_run,
            Self::Prune(args) => args.dry_run,
            Self::Host(args) => args.action.only_answers(),
            Self::Rollback(_) | Self::Start(_) | Self::Stop(_) | Self::Restart(_) | Self::Retire(_) => false,
            Self::Pin(_) | Self::Unpin(_) | Self::Init(_) | Self::Hook(_) => false,
            // The code is what was started's own.
            Self::Ssh(_) | Self::Run(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_finds_no_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_on_either_side() {
        let words = ["deployvm", "-H", "hv", "config", "--option", "cores", "2", "--option", "a", "b", "-y"];
        let cli = Cli::try_parse_from(words).unwrap();
        assert_eq!(cli.global.hypervisor.as_deref(), Some("hv"));
        assert!(cli.global.yes);
        assert_eq!(cli.global.options(), [("cores".into(), "2".into()), ("a".to_owned(), "b".to_owned())]);
    }
}
