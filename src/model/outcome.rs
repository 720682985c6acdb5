//! How it ended, VM by VM, and the exit code that says what state things are in.

use serde::{Deserialize, Serialize};

use super::check::CheckResult;
use super::name::VmName;
use super::store_path::StorePath;

/// The result words of interface.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Runs the wanted runner, verified.
    Deployed,
    /// The wanted runner is staged; the next start boots it.
    Staged,
    /// What was asked for was done, and no generation changed: `start`, `stop`,
    /// `restart`, `retire`.
    Done,
    /// Nothing was to be done.
    Unchanged,
    /// It failed, and what was there before is back and answering.
    RolledBack,
    /// It failed and is left as it is, or was absent and is absent again.
    Failed,
    /// Not reached: the line stopped before it.
    Skipped,
    /// Not touched, for a stated reason.
    Refused,
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Deployed => "deployed",
            Self::Staged => "staged",
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::RolledBack => "rolled-back",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
        })
    }
}

/// One microVM's outcome, with the keys of the JSON summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The microVM.
    pub name: VmName,
    /// What happened.
    pub result: Word,
    /// This VM's exit code (design.md).
    pub exit: u8,
    /// Runner before.
    pub from: Option<StorePath>,
    /// Runner wanted.
    pub to: Option<StorePath>,
    /// Generation number it has now, if it got one.
    pub generation: Option<u64>,
    /// One word for why, such as `check-failed`.
    pub reason: Option<String>,
    /// A sentence for people.
    pub detail: Option<String>,
    /// Checks with results.
    pub checks: Vec<CheckResult>,
    /// Milliseconds from the last answer of the old guest to the first of the new one.
    pub downtime: Option<u64>,
    /// How the old guest went down: `clean`, `killed`, or `None` when it was not stopped.
    pub shutdown: Option<String>,
    /// The last console lines of the invocation that failed.
    pub console: Vec<String>,
    /// The transaction, for `history`.
    pub transaction: Option<String>,
    /// What a person must do, in this order, where nobody else can help.
    #[serde(default)]
    pub todo: Vec<String>,
    /// The number of what ran before, where what failed was left in its place.
    #[serde(default)]
    pub before: Option<u64>,
    /// What does the same again, such as `restart vm1`, where that is not a push.
    #[serde(default)]
    pub again: Option<String>,
}

impl Outcome {
    /// An outcome with nothing but a result.
    pub fn new(name: VmName, result: Word, exit: u8) -> Self {
        Self {
            name,
            result,
            exit,
            from: None,
            to: None,
            generation: None,
            reason: None,
            detail: None,
            checks: Vec::new(),
            downtime: None,
            shutdown: None,
            console: Vec::new(),
            transaction: None,
            todo: Vec::new(),
            before: None,
            again: None,
        }
    }
}

/// The command's exit code: the largest of the VMs', except that 130 (declined or
/// interrupted before anything was touched) never takes part in a maximum.
pub fn exit_code(outcomes: &[Outcome]) -> u8 {
    let codes = || outcomes.iter().map(|o| o.exit);
    match codes().filter(|c| *c != 130).max() {
        Some(0) | None => codes().max().unwrap_or(0),
        Some(code) => code,
    }
}
