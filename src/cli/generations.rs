//! `deployvm generations`: the generations of a VM, as the hypervisor has them.

use super::args::Global;
use super::session;
use crate::error::{Aftermath, Result};
use crate::model::name::VmName;
use crate::pipeline::past;

/// List the generations of a VM on the hypervisor
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The VM
    #[arg(value_name = "VM")]
    pub vm: VmName,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    session::run(global, false, async move |session| {
        let context = &session.context;
        let target = session.target()?;
        let asking = past::generations(context, &target, &args.vm);
        let list = context.unless_interrupted(Aftermath::Declined, asking).await?;
        session.reporter.generations(&args.vm, &list);
        Ok(0)
    })
    .await
}
