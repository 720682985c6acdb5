//! Pure decisions: which VMs, in which order, with which checks, and what must not
//! be deployed together. This room does no I/O of any kind.

pub mod checks;
pub mod conflicts;
pub mod order;
pub mod select;
