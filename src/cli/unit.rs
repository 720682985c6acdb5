//! `deployvm start`, `stop` and `restart`: their arguments.

/// Start VMs through systemd and verify that they run
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Start {
    /// VMs by name, glob ('vm*') or tag (@web)
    #[arg(value_name = "VM", required = true)]
    pub vms: Vec<String>,
}

/// Stop VMs through systemd and verify that they are down
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Stop {
    /// VMs by name, glob ('vm*') or tag (@web)
    #[arg(value_name = "VM", required = true)]
    pub vms: Vec<String>,
}

/// Restart VMs through systemd and verify that they run
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Restart {
    /// VMs by name, glob ('vm*') or tag (@web)
    #[arg(value_name = "VM", required = true)]
    pub vms: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn start(_global: &super::args::Global, _args: Start) -> crate::error::Result<u8> {
    Ok(1)
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn stop(_global: &super::args::Global, _args: Stop) -> crate::error::Result<u8> {
    Ok(1)
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn restart(_global: &super::args::Global, _args: Restart) -> crate::error::Result<u8> {
    Ok(1)
}
