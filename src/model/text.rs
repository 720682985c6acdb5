//! Small text files in store paths, and how they differ.

use super::store_path::StorePath;

/// A file as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundText {
    /// The store path that it is in.
    pub package: StorePath,
    /// Where in it, such as `/etc/hosts`; empty when the store path is the file itself.
    pub file: String,
    /// What it says; of a symbolic link, where it leads.
    pub text: String,
    /// Whether it is a symbolic link.
    pub link: bool,
}

/// How the small text files of two closures differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// Those that differ.
    pub changes: Vec<TextChange>,
    /// How many differ only in the hashes of store paths that they name.
    pub rehashed: usize,
    /// What was not compared, and why.
    pub left_out: Vec<String>,
    /// Why nothing can be told, when it cannot.
    pub unknown: Option<String>,
}

impl Texts {
    /// Nothing can be told.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { unknown: Some(reason.into()), ..Self::default() }
    }
}

/// One file that differs. Store paths in both texts have lost their hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextChange {
    /// The name of the store path that it is in.
    pub package: String,
    /// Where in it; empty when the store path is the file itself.
    pub file: String,
    /// As it was; `None` when it was not there.
    pub before: Option<String>,
    /// As it is.
    pub after: Option<String>,
}
