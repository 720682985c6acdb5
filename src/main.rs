//! Parse, run, exit: the only exit.

use std::process::ExitCode;

use clap::Parser as _;
use deployvm::cli;

fn main() -> ExitCode {
    cli::crash::install();
    let cli = match cli::command::Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return ExitCode::from(cli::crash::show_usage(&usage)),
    };
    let code = cli::crash::caught(|| cli::run_to_end(cli)).unwrap_or_else(|failure| {
        cli::crash::show(&failure);
        failure.aftermath.code()
    });
    ExitCode::from(code)
}
