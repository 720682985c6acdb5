//! A closure: store paths with their sizes; and the difference of two.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::store_path::StorePath;

/// Every path of a closure with its NAR size in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closure {
    /// Path to NAR size in bytes.
    pub paths: BTreeMap<StorePath, u64>,
}

impl Closure {
    /// NAR bytes of the whole closure.
    pub fn bytes(&self) -> u64 {
        self.paths.values().copied().fold(0, u64::saturating_add)
    }
}

/// A package whose versions differ between two closures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// The package's name without version.
    pub name: String,
    /// Versions before, sorted; empty when it was not there, `""` for a path without version.
    pub before: Vec<String>,
    /// Versions after.
    pub after: Vec<String>,
    /// Change of its size in bytes.
    pub bytes: i64,
}

/// What differs between two closures, package by package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosureDiff {
    /// Packages that only the new closure has.
    pub added: Vec<PackageChange>,
    /// Packages that only the old closure has.
    pub removed: Vec<PackageChange>,
    /// Packages in both whose versions differ.
    pub changed: Vec<PackageChange>,
    /// Packages in both with the same versions but other store paths
    /// (rebuilt: configuration, flags, or something below them changed).
    pub rebuilt: Vec<PackageChange>,
    /// NAR bytes of the old closure.
    pub bytes_before: u64,
    /// NAR bytes of the new closure.
    pub bytes_after: u64,
}
