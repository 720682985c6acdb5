//! The map of the house. *cli asks, plan decides, stage acts through host, report
//! speaks; model is the only language they share.*
//!
//! | room | what it owns | what it must not do |
//! |---|---|---|
//! | [`model`] | the nouns | know any other room |
//! | [`plan`] | pure decisions: plan, closure diff, derived checks, order | I/O of any kind |
//! | [`tool`] | other programs' vocabulary: builds an argv, parses output | start anything |
//! | [`host`] | the only door outside: processes, ssh, scripts, git, clock, network | decide |
//! | [`stage`] | effects, one file each | know each other, or plan |
//! | [`pipeline`] | the order of stages for each verb | print |
//! | [`report`] | the only mouth | anything but speak |
//! | [`cli`] | arguments, settings, one file per command | effects of its own |
//!
//! Imports go one way: cli → pipeline → stage, plan, report, host; stage → tool,
//! host; report, tool, plan, host → model. `docs/architecture.md` says why.

pub mod cli;
pub mod error;
pub mod host;
pub mod model;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod stage;
pub mod tool;
