//! `deployvm rollback`: its arguments.

/// Go back to the previous generation, or a given one
///
/// It goes through the same transaction and checks as push, and needs no evaluation.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// VMs by name, glob ('vm*') or tag (@web)
    #[arg(value_name = "VM", required = true)]
    pub vms: Vec<String>,

    /// The generation to go to [default: the highest verified one below the current]
    #[arg(long, value_name = "N")]
    pub to: Option<u64>,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(_global: &super::args::Global, _args: Args) -> crate::error::Result<u8> {
    Ok(1)
}
