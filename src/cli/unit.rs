//! `deployvm start`, `stop` and `restart`.

use super::args::{Global, Queue};
use super::queue;
use super::session::{self, Session};
use crate::error::{Aftermath, Result};
pub use crate::pipeline::power::Power;
use crate::pipeline::power::{Errand, carry_out, prepare};

/// Start VMs through systemd and verify that they run
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Start {
    /// VMs by name, glob ('vm*') or tag (@web)
    #[arg(value_name = "VM", required = true)]
    pub vms: Vec<String>,

    /// Whether to wait.
    #[command(flatten)]
    pub queue: Queue,
}

/// Stop VMs through systemd and verify that they are down
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Stop {
    /// VMs by name, glob ('vm*') or tag (@web)
    #[arg(value_name = "VM", required = true)]
    pub vms: Vec<String>,

    /// Whether to wait.
    #[command(flatten)]
    pub queue: Queue,
}

/// Restart VMs through systemd and verify that they run
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Restart {
    /// VMs by name, glob ('vm*') or tag (@web)
    #[arg(value_name = "VM", required = true)]
    pub vms: Vec<String>,

    /// Whether to wait.
    #[command(flatten)]
    pub queue: Queue,
}

/// Starts VMs.
///
/// # Errors
/// None: failures are reported here.
pub async fn start(global: &Global, args: Start) -> Result<u8> {
    run(global, Power::Start, args.vms, args.queue).await
}

/// Stops VMs.
///
/// # Errors
/// None: failures are reported here.
pub async fn stop(global: &Global, args: Stop) -> Result<u8> {
    run(global, Power::Stop, args.vms, args.queue).await
}

/// Restarts VMs.
///
/// # Errors
/// None: failures are reported here.
pub async fn restart(global: &Global, args: Restart) -> Result<u8> {
    run(global, Power::Restart, args.vms, args.queue).await
}

async fn run(global: &Global, power: Power, vms: Vec<String>, queue: Queue) -> Result<u8> {
    session::run(global, true, async move |session| work(session, power, vms, &queue).await).await
}

async fn work(session: &Session<'_>, power: Power, vms: Vec<String>, queue: &Queue) -> Result<u8> {
    let context = &session.context;
    queue::rounds(session, queue, vms, async |vms| {
        let settled = session.settled()?;
        let settle = Box::new(|vm: &_, own: &_| settled.vm(vm, Some(own)));
        let errand = Errand { power, target: session.target()?, typed: vms, tags: session.tags()?, settle };
        let ready = context.unless_interrupted(Aftermath::Declined, prepare(context, &errand)).await?;
        let outcomes = carry_out(context, &errand, &ready).await;
        ready.looked.host.close().await;
        Ok(Some(outcomes))
    })
    .await
}
