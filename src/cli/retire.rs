//! `deployvm retire`: its arguments.

use crate::model::name::VmName;

/// Stop and unlink a VM that the flake no longer has, keeping its volumes
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
pub async fn run(_global: &super::args::Global, _args: Args) -> crate::error::Result<u8> {
    Ok(1)
}
