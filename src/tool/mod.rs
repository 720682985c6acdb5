//! Other programs' vocabulary: builds an [`Argv`](crate::model::argv::Argv) and
//! parses output. Nothing here starts anything.

pub mod nix;
