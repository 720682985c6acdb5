//! Other programs' vocabulary: builds an argv, parses output. Starts nothing.

pub mod events;
pub mod microvm;
pub mod nix;
pub mod observation;
pub mod systemd;
