//! Why a runner differs from another: the derivations in which the difference begins.

use super::store_path::StorePath;

/// What made the difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// Where it begins, nearest to the runner first.
    pub causes: Vec<Cause>,
    /// Whether there may be more, of causes or in one, that was not looked for.
    pub more: bool,
    /// Why it cannot be told, when it cannot.
    pub unknown: Option<String>,
}

impl Why {
    /// It cannot be told.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { unknown: Some(reason.into()), ..Self::default() }
    }
}

/// A derivation that differs by itself, not only by what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Names from the runner down to this derivation, both included.
    pub way: Vec<String>,
    /// As it was.
    pub before: StorePath,
    /// As it is.
    pub after: StorePath,
    /// What differs in it.
    pub changes: Vec<Change>,
}

/// One thing in a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub what: What,
    /// Its name, such as that of the variable.
    pub name: String,
    /// As it was, shortened to where it differs; `None` when it was not there.
    pub before: Option<String>,
    /// As it is.
    pub after: Option<String>,
}

/// The things that a derivation has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Its name, with the version.
    Name,
    /// The system that builds it.
    System,
    /// The program that builds it.
    Builder,
    /// An argument of that program, by number.
    Argument,
    /// A variable of its environment.
    Variable,
    /// A derivation that it needs, which came or went.
    Input,
    /// A file that it needs.
    Source,
    /// Nobody can tell: its file cannot be read.
    Unreadable,
}

impl What {
    /// The word for it, in texts and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::System => "system",
            Self::Builder => "builder",
            Self::Argument => "argument",
            Self::Variable => "variable",
            Self::Input => "input",
            Self::Source => "source",
            Self::Unreadable => "unreadable",
        }
    }
}
