//! Numbered generations of a microVM.

use serde::{Deserialize, Serialize};

use super::store_path::StorePath;

/// One generation, with the keys of `generations --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Number in the profile; identifies it only together with `path`.
    pub number: u64,
    /// When it was deployed last, RFC 3339 in UTC: what also `revision` and `who` are of.
    pub time: Option<String>,
    /// The runner.
    pub path: StorePath,
    /// Git revision it was deployed from.
    pub revision: Option<String>,
    /// Whether the tree was dirty then.
    pub dirty: Option<bool>,
    /// Who deployed it; `null` for one that was adopted.
    pub who: Option<String>,
    /// NAR bytes of its closure.
    pub bytes: Option<u64>,
    /// `current` points to it.
    pub current: bool,
    /// `booted` points to it.
    pub booted: bool,
    /// It passed its checks when it was deployed, or ran when it was adopted.
    pub verified: bool,
    /// Kept from `prune`.
    pub pinned: bool,
}
