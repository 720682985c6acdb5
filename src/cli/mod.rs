//! What a user types: arguments, settings in layers, and one file per command.
//! This room parses and hands over; it has no effects of its own but reading the
//! command line, the environment and `deployvm.toml`.

pub mod args;
pub mod check;
pub mod command;
pub mod completions;
pub mod config;
pub mod crash;
pub mod diff;
pub mod doctor;
pub mod generations;
pub mod history;
pub mod hook;
pub mod host;
pub mod init;
pub mod logs;
pub mod man;
pub mod pin;
pub mod plan;
pub mod prune;
pub mod push;
pub mod queue;
pub mod retire;
pub mod rollback;
pub mod run;
pub mod session;
pub mod settings;
pub mod signals;
pub mod ssh;
pub mod status;
pub mod unit;

use clap::CommandFactory as _;

use crate::error::{Failure, Result};
use command::{Cli, Command};

/// Runs the command that was typed to its end, on a runtime of its own.
///
/// # Errors
/// Whatever the command says: the failure carries the exit code.
pub fn run_to_end(cli: Cli) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::bug(format!("cannot start the runtime: {error}")))?.block_on(run(cli))
}

/// Runs the command that was typed and returns its exit code.
///
/// # Errors
/// Whatever the command says: the failure carries the exit code.
pub async fn run(cli: Cli) -> Result<u8> {
    let Cli { command, mut global } = cli;
    global.answers = command.only_answers();
    match command {
        Command::Push(args) => push::run(&global, args).await,
        Command::Plan(args) => plan::run(&global, args).await,
        Command::Diff(args) => diff::run(&global, args).await,
        Command::Status(args) => status::run(&global, args).await,
        Command::Check(args) => check::run(&global, args).await,
        Command::Generations(args) => generations::run(&global, args).await,
        Command::Rollback(args) => rollback::run(&global, args).await,
        Command::History(args) => history::run(&global, args).await,
        Command::Logs(args) => logs::run(&global, args).await,
        Command::Ssh(args) => ssh::run(&global, args).await,
        Command::Console(args) => logs::console(&global, args).await,
        Command::Run(args) => run::run(&global, args).await,
        Command::Start(args) => unit::start(&global, args).await,
        Command::Stop(args) => unit::stop(&global, args).await,
        Command::Restart(args) => unit::restart(&global, args).await,
        Command::Retire(args) => retire::run(&global, args).await,
        Command::Pin(args) => pin::pin(&global, args).await,
        Command::Unpin(args) => pin::unpin(&global, args).await,
        Command::Prune(args) => prune::run(&global, args).await,
        Command::Doctor(args) => doctor::run(&global, args).await,
        Command::Init(args) => init::run(&global, args).await,
        Command::Host(args) => host::run(&global, args).await,
        Command::Hook(args) => hook::run(&global, args).await,
        Command::Config(args) => config::run(&global, args).await,
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::Completions(args) => completions::run(args, &Cli::command()),
    }
}
