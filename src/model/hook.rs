//! What the git hook works with: what `hook install` was told, and what git says is
//! being pushed.

use serde::{Deserialize, Serialize};

/// What `hook install` was told, kept in the repository's git directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Remembered {
    /// `--hypervisor`.
    pub hypervisor: Option<String>,
    /// `--env`.
    pub env: Option<String>,
    /// `--override-input INPUT REF`.
    pub overrides: Vec<(String, String)>,
    /// `--option NAME VALUE`.
    pub options: Vec<(String, String)>,
    /// `--quiet`.
    pub quiet: bool,
    /// `--verbose`, so many times.
    pub verbose: u8,
    /// The flake's directory, below the top of every commit; empty for the top itself.
    pub directory: String,
    /// VMs by name, glob or tag; none means all.
    pub vms: Vec<String>,
    /// Globs of the branches to look at; none means all.
    pub branches: Vec<String>,
    /// Globs of the branches to deploy once they have been pushed; none means none.
    pub deploy: Vec<String>,
    /// Seconds that a push may be held up.
    pub limit: Option<u64>,
    /// SHA-256 of the script that was installed.
    pub script: Option<String>,
}

/// A branch that is being pushed, with its tip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// Its name on the remote, without `refs/heads/`.
    pub branch: String,
    /// The commit that it will be at there.
    pub commit: String,
}

/// What is to be deployed once it has been pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// The branch with its tip.
    #[serde(flatten)]
    pub pushed: Pushed,
    /// URL of the remote, as git tells it.
    pub url: String,
    /// What `install` was told.
    pub remembered: Remembered,
}

/// What `hook install` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// The hook.
    pub hook: String,
    /// What was there before, and runs first.
    pub before: Option<String>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// What `hook uninstall` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The hook that was taken away.
    pub hook: Option<String>,
    /// Whether what was there before is back.
    pub restored: bool,
    /// Files that could not be taken away, and why.
    pub left: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
}
