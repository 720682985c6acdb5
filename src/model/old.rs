//! Generations that are old enough to go.

use super::name::VmName;

/// What may go of one VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Old {
    /// These generations, ascending.
    Numbers(Vec<u64>),
    /// Somebody works on it, so nothing does.
    Busy,
}

impl Old {
    /// The generations; none where somebody works on the VM.
    pub fn numbers(&self) -> &[u64] {
        match self {
            Self::Numbers(numbers) => numbers,
            Self::Busy => &[],
        }
    }
}

/// What may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// For each VM, in the order in which they were asked for.
    pub vms: Vec<(VmName, Old)>,
    /// Bytes and number of store paths that nothing else holds, where that can be told.
    pub freed: Option<(u64, u64)>,
}
