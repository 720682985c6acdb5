//! `deployvm check`: its arguments.

use super::args::Selection;

/// Run the checks alone
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,
}
