//! `deployvm diff`: its arguments.

use super::args::Selection;

/// Compare the closure of what runs with what the flake wants
///
/// With --from and --to it compares two generations of one VM instead, without evaluation.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,

    /// Compare from this generation of the VM
    #[arg(long, value_name = "N", requires = "to")]
    pub from: Option<u64>,

    /// Compare to this generation of the VM
    #[arg(long, value_name = "N", requires = "from")]
    pub to: Option<u64>,
}
