//! Other programs' vocabulary: builds an argv, parses output. Starts nothing.

pub mod elevate;
pub mod events;
pub mod exam;
pub mod git;
pub mod journal;
pub mod login;
pub mod microvm;
pub mod nix;
pub mod observation;
pub mod route;
pub mod runner;
pub mod system;
pub mod systemd;
