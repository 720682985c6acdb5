//! Pure decisions: what differs, what is to be done, in which order. This room
//! does no I/O of any kind; everything that it needs comes in as values.

pub mod diff;
pub mod version;
