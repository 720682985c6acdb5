//! `deployvm check`: its arguments.

use super::args::Selection;

/// Run the checks alone
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(_global: &super::args::Global, _args: Args) -> crate::error::Result<u8> {
    Ok(1)
}
