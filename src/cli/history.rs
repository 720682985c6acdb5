//! `deployvm history`: its arguments.

use super::args::Selection;

/// Show the ledger: who deployed what, when, and how it ended
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,
}
