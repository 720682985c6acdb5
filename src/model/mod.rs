//! The nouns that the rooms share, and nothing else: names, store paths, what
//! the flake wants, what the hypervisor has, the plan, events and outcomes.
//! This room starts nothing, reads nothing and knows no other room.

pub mod access;
pub mod address;
pub mod argv;
pub mod backlog;
pub mod check;
pub mod closure;
pub mod derivation;
pub mod event;
pub mod exam;
pub mod finding;
pub mod generation;
pub mod hook;
pub mod inventory;
pub mod ledger;
pub mod log;
pub mod login;
pub mod name;
pub mod observed;
pub mod old;
pub mod outcome;
pub mod plan;
pub mod settings;
pub mod status;
pub mod store_path;
pub mod system;
pub mod template;
pub mod terms;
pub mod text;
pub mod why;
