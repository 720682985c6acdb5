//! What microvm.nix calls things on a hypervisor.

/// Where microvm.nix keeps its VMs: one directory each.
pub const STATE_DIR: &str = "/var/lib/microvms";
