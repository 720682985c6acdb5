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

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn pin(_global: &super::args::Global, _args: Pin) -> crate::error::Result<u8> {
    Ok(1)
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn unpin(_global: &super::args::Global, _args: Unpin) -> crate::error::Result<u8> {
    Ok(1)
}
