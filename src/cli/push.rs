//! `deployvm push`: its arguments.

use super::args::Intent;

/// Build, show the plan, ask, copy, switch, check, and roll back what fails
///
/// Evaluates and builds the chosen VMs, looks at the hypervisor, and prints the plan with closure
/// diffs. After a yes it copies, switches each VM on trial, checks it, and puts the previous
/// generation back where something fails.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// What to deploy and how.
    #[command(flatten)]
    pub intent: Intent,

    /// Print the plan and stop
    #[arg(long)]
    pub dry_run: bool,

    /// Skip declared and derived checks of the guest; the VM must still start and stay up
    #[arg(long)]
    pub no_checks: bool,

    /// Leave a VM that failed as it is, for inspection
    #[arg(long)]
    pub keep_failed: bool,
}
