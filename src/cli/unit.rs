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
