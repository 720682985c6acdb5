//! `deployvm status`: what each VM should run and what it does run.

use std::time::Duration;

use super::args::{Global, Selection};
use super::session::{self, Session};
use crate::error::{Aftermath, Failure, Result};
use crate::pipeline::status::{self, Board};
use crate::report::Round;

/// Seconds between two looks where nobody says how many.
const USUAL: u32 = 2;
/// Longest time between two looks.
const LONGEST: u32 = 86_400;

/// Show what each VM should run, has staged, has booted and really runs
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,

    /// Do not evaluate the flake: answer from the hypervisor alone
    #[arg(long)]
    pub no_eval: bool,

    /// Look again every so many seconds [default: 2], until Ctrl-C; the flake is asked once
    #[arg(long, value_name = "SECONDS", num_args = 0..=1)]
    pub watch: Option<Option<String>>,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, mut args: Args) -> Result<u8> {
    let every = args.every();
    session::run(global, false, async move |session| work(session, &args, every?).await).await
}

async fn work(session: &Session<'_>, args: &Args, every: Option<u32>) -> Result<u8> {
    let context = &session.context;
    let opening = async {
        if args.no_eval {
            let (target, tags) = (session.target()?, session.tags()?);
            status::without_flake(context, target, &args.selection.vms, tags).await
        } else {
            status::with_flake(context, session.intent_for(&args.selection, false)?).await
        }
    };
    let board = context.unless_interrupted(Aftermath::Declined, opening).await?;
    let rows = context.unless_interrupted(Aftermath::Declined, board.rows(context)).await?;
    let Some(every) = every else {
        session.reporter.status(&rows);
        board.close().await;
        return Ok(0);
    };
    session.reporter.watched(&rows, &Round { first: true, seconds: every, ..Round::default() });
    let watching = session.reporter.pace(watch(session, board, every));
    let watching = context.unless_interrupted(Aftermath::Declined, watching);
    tokio::select! {
        ended = watching => match ended {
            // There is no other end of it.
            Err(failure) if failure.aftermath == Aftermath::Declined => Ok(0),
            ended => ended.map(|()| 0),
        },
        () = session.reporter.unread() => Ok(0),
    }
}

async fn watch(session: &Session<'_>, mut board: Board, every: u32) -> Result<()> {
    let mut known = Vec::new();
    loop {
        tokio::time::sleep(Duration::from_secs(every.into())).await;
        let (rows, remarks) = board.rows_again(&session.context).await?;
        let round = Round { seconds: every, repeated: remarks == known, remarks, ..Round::default() };
        session.reporter.watched(&rows, &round);
        known = round.remarks;
    }
}

impl Args {
    /// Seconds between two looks. What follows `--watch` and is no number is a VM.
    fn every(&mut self) -> Result<Option<u32>> {
        let Some(given) = &mut self.watch else { return Ok(None) };
        let Some(word) = given.take() else { return Ok(Some(USUAL)) };
        match word.parse::<u32>() {
            Ok(seconds) if (1..=LONGEST).contains(&seconds) => Ok(Some(seconds)),
            Ok(_) => Err(Failure::usage(format!("--watch takes 1 to {LONGEST} seconds"))),
            Err(_) => {
                self.selection.vms.push(word);
                Ok(Some(USUAL))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_or_a_vm() {
        let every = |watch: Option<Option<&str>>| {
            let mut args = Args { watch: watch.map(|word| word.map(str::to_owned)), ..Args::default() };
            args.every().map(|every| (every, args.selection.vms.join(" "))).ok()
        };
        assert_eq!(every(None), Some((None, String::new())));
        assert_eq!(every(Some(None)), Some((Some(2), String::new())));
        assert_eq!(every(Some(Some("7"))), Some((Some(7), String::new())));
        assert_eq!(every(Some(Some("vm1"))), Some((Some(2), "vm1".to_owned())));
        assert_eq!(every(Some(Some("0"))), None);
    }
}
