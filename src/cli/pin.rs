//! `deployvm pin` and `deployvm unpin`.

use serde::Serialize;

use super::args::{Global, Queue};
use super::session;
use crate::error::{Aftermath, Result};
use crate::model::name::VmName;
use crate::pipeline::keep::keep;

/// Keep a generation from prune
#[derive(Debug, Clone, clap::Args)]
pub struct Pin {
    /// The VM
    #[arg(value_name = "VM")]
    pub vm: VmName,
    /// The generation
    #[arg(value_name = "N")]
    pub generation: u64,
    /// Whether to wait.
    #[command(flatten)]
    pub queue: Queue,
}

/// Let prune have a generation again
#[derive(Debug, Clone, clap::Args)]
pub struct Unpin {
    /// The VM
    #[arg(value_name = "VM")]
    pub vm: VmName,
    /// The generation
    #[arg(value_name = "N")]
    pub generation: u64,
    /// Whether to wait.
    #[command(flatten)]
    pub queue: Queue,
}

/// Pins a generation.
///
/// # Errors
/// None: failures are reported here.
pub async fn pin(global: &Global, args: Pin) -> Result<u8> {
    run(global, args.vm, args.generation, args.queue, true).await
}

/// Lets a generation go.
///
/// # Errors
/// None: failures are reported here.
pub async fn unpin(global: &Global, args: Unpin) -> Result<u8> {
    run(global, args.vm, args.generation, args.queue, false).await
}

/// What scripts read.
#[derive(Debug, Serialize)]
struct Pinned<'a> {
    vm: &'a VmName,
    generation: u64,
    pinned: bool,
    changed: bool,
}

async fn run(global: &Global, vm: VmName, generation: u64, queue: Queue, pinned: bool) -> Result<u8> {
    session::run(global, false, async move |session| {
        session.context.patience.allow(queue.wait);
        let target = session.target()?;
        let keeping = keep(&session.context, &target, &vm, generation, pinned);
        let changed = session.context.unless_interrupted(Aftermath::Declined, keeping).await?;
        if session.reporter.is_json() {
            session.reporter.object(Pinned { vm: &vm, generation, pinned, changed });
        } else {
            let now = match (pinned, changed) {
                (true, true) => "is pinned",
                (true, false) => "was pinned before",
                (false, true) => "is not pinned any more",
                (false, false) => "was not pinned",
            };
            session.reporter.line(&format!("generation {generation} of {vm} {now}"));
        }
        Ok(0)
    })
    .await
}
