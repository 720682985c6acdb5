//! Other programs' vocabulary: builds an argv, parses output. Starts nothing.

pub mod closure;
pub mod events;
pub mod observation;
pub mod systemd;
