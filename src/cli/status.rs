//! `deployvm status`: its arguments.

use super::args::Selection;

/// Show what each VM should run, has staged, has booted and really runs
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,

    /// Do not evaluate the flake: answer from the hypervisor alone
    #[arg(long)]
    pub no_eval: bool,
}
