//! Deploying what was pushed: the hook hands over to a process that goes on without it,
//! and that waits until the remote says that it has the commit.

use std::time::Duration;

use camino::Utf8PathBuf;

use super::memory;
use crate::error::{Aftermath, Failure, Result};
use crate::host::git::Around;
use crate::host::{detached, hooks, process};
use crate::model::argv::Argv;
use crate::model::hook::Errand;
use crate::tool::git;

/// Longest time from the hook until the push has ended.
const PATIENCE: Duration = Duration::from_secs(600);
/// Longest time for one answer of the remote.
const ONE_ANSWER: Duration = Duration::from_secs(60);
/// Between two questions: soon at first, then seldom, since each is a connection.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Starts the process; returns the log that it writes.
///
/// # Errors
/// 12 when it cannot be started.
pub fn hand_over(around: &Around, errand: &Errand) -> Result<Utf8PathBuf> {
    let log = memory::log(around)?;
    let program = hooks::program().ok_or_else(|| Failure::bug("cannot tell where this program is"))?;
    let errand =
        serde_json::to_vec(errand).map_err(|e| Failure::bug(format!("an errand cannot be written: {e}")))?;
    // By stdin: a URL may hold a password, and others can read arguments.
    let argv = Argv::new(program).args(["hook", "after"]).stdin(errand);
    detached::start(&argv, &log).map_err(|error| {
        Failure::new(Aftermath::Refused, format!("cannot hand the deployment over: {error}"))
            .help("push without it, then deploy by hand with `deployvm push`")
    })?;
    Ok(log)
}

/// What was handed over to this process.
///
/// # Errors
/// 2 when it is nothing.
pub fn errand() -> Result<Errand> {
    let text = hooks::stdin().ok().flatten().unwrap_or_default();
    serde_json::from_str(&text).map_err(|_| {
        Failure::usage("nothing was handed over").help("`deployvm hook after` is started by the hook itself")
    })
}

/// Waits until the branch of the remote is at the commit.
///
/// # Errors
/// 12 when it was not in time: then the push has failed, or the remote cannot be asked.
pub async fn arrive(errand: &Errand) -> Result<()> {
    let Errand { pushed, url, .. } = errand;
    let mut pause = Duration::from_secs(1);
    let mut last = String::new();
    let asking = async {
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let argv = git::ask_remote(url, &pushed.branch);
            match tokio::time::timeout(ONE_ANSWER, process::run(&argv)).await {
                Ok(Ok(output)) if output.ok() => {
                    if git::is_at(&output.text(), &pushed.branch, &pushed.commit) {
                        break;
                    }
                    last.clear();
                }
                Ok(Ok(output)) => last = output.errors(),
                Ok(Err(failure)) => last = failure.message,
                Err(_) => "it does not answer".clone_into(&mut last),
            }
        }
    };
    if tokio::time::timeout(PATIENCE, asking).await.is_ok() {
        return Ok(());
    }
    let Errand { pushed, .. } = errand;
    let message = format!(
        "{} of the remote did not come to be at {}: the push has failed, or the remote cannot be asked",
        pushed.branch, pushed.commit
    );
    Err(Failure::new(Aftermath::Refused, message)
        .output(&last)
        .help(format!("nothing is deployed; to do it by hand: deployvm push --rev {}", pushed.commit)))
}
