//! What comes after a push, in a process of its own: nothing is deployed before the remote
//! has the commit, and all that happens stands in a log.

use std::time::Duration;

use super::{SHORT, merged, of_tip};
use crate::cli::args::{Global, Intent, Queue, Selection};
use crate::cli::{push, session};
use crate::error::Result;
use crate::pipeline::hook;

/// For others who work on the same VMs.
const QUEUE: Duration = Duration::from_secs(600);

/// Waits for the push, and deploys.
///
/// # Errors
/// None: failures are reported here.
pub async fn run() -> Result<u8> {
    let (errand, tip) = match hook::errand() {
        Ok(both) => both,
        Err(failure) => return session::run(&Global::default(), false, async |_| Err(failure)).await,
    };
    let remembered = &errand.remembered;
    // Who installed the hook like this has said yes.
    let global = Global { yes: true, ..merged(&Global::default(), remembered) };
    let global = of_tip(&global, remembered, &tip);
    let commit = errand.pushed.commit.get(..SHORT).unwrap_or(&errand.pushed.commit);
    let what = format!("{} ({commit})", errand.pushed.branch);
    let mut code = session::run(&global, false, async |session| {
        session.reporter.remark(&format!("deployvm: waiting until {what} is on the remote"));
        hook::arrive(&session.context, &errand).await.map(|()| 0)
    })
    .await?;
    if code == 0 {
        let args = push::Args {
            intent: Intent { selection: Selection { vms: remembered.vms.clone() }, ..Intent::default() },
            queue: Queue { wait: Some(QUEUE) },
            ..push::Args::default()
        };
        code = push::run(&global, args).await?;
    }
    session::run(&global, false, async |session| {
        // How one before it ended, nobody needs to hear any more.
        hook::take_ended()?;
        if code == 0 {
            session.reporter.remark(&format!("deployvm: {what} is deployed"));
            return Ok(code);
        }
        let how = format!("{what} was pushed and then not deployed (exit {code}): see {}", hook::log()?);
        session.reporter.remark(&format!("deployvm: {how}"));
        hook::ended(&how).map(|()| code)
    })
    .await
}
