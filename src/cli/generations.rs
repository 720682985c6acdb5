//! `deployvm generations`: its arguments.

use crate::model::name::VmName;

/// List the generations of a VM on the hypervisor
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The VM
    #[arg(value_name = "VM")]
    pub vm: VmName,
}
