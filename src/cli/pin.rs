//! `deployvm pin` and `deployvm unpin`: their arguments.

use crate::model::name::VmName;

/// Keep a generation from prune
#[derive(Debug, Clone, clap::Args)]
pub struct Pin {
    /// The VM
    #[arg(value_name = "VM")]
    pub vm: VmName,
    /// The generation
    #[arg(value_name = "N")]
    pub generation: u64,
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
}
