//! What a check is and how one ended. Declared checks come from the flake or the
//! settings (interface.md, Checks); derived ones follow from the runner itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a probe runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// On the machine that runs deployvm.
    Laptop,
    /// On the hypervisor, by the transaction itself.
    Hypervisor,
    /// Inside the guest, over ssh or vsock.
    Vm,
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Laptop => "laptop",
            Self::Hypervisor => "hypervisor",
            Self::Vm => "vm",
        })
    }
}

/// What counts as passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// The probe succeeds.
    #[default]
    Ok,
    /// The probe ran and met reset, unreachable or timeout, three times over 3 s.
    Refused,
}

/// The question a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// GET this URL.
    Http {
        /// `http://` or `https://`.
        url: String,
        /// The status wanted; any 2xx when absent.
        status: Option<u16>,
        /// A regular expression (POSIX extended) that a line of the body must match.
        body: Option<String>,
    },
    /// Connect to this host and port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// One ICMP echo.
    Ping {
        /// Name or address.
        host: String,
    },
    /// Resolve this name.
    Dns {
        /// The name.
        name: String,
    },
    /// Run this program; rc 0 passes. Arguments have no newlines.
    Exec {
        /// Program and arguments.
        argv: Vec<String>,
    },
}

/// One check as the plan holds it: a probe, from one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, unique per VM together with `from`; derived checks are `ping` and `ssh`.
    pub name: String,
    /// Where it runs.
    pub from: From,
    /// What it asks.
    pub probe: Probe,
    /// What counts as passing.
    pub expect: Expect,
    /// Seconds that it may take to pass.
    pub within: u32,
    /// A failure is never excused by having failed before.
    pub strict: bool,
    /// Whether deployvm derived it rather than the user declaring it.
    pub derived: bool,
    /// Whether a failure may be excused by the same failure just before the push: only
    /// where the running generation was deployed with the same definition.
    #[serde(default)]
    pub excusable: bool,
}

impl Check {
    /// The definition as one line of text: equal exactly when the checks are, and
    /// kept in the ledger so that a later push knows whether a check is new.
    pub fn definition(&self) -> String {
        serde_json::to_string(&(&self.probe, self.from, self.expect)).unwrap_or_default()
    }
}

/// A check as users declare it (interface.md). Exactly one of the probe keys is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Declared {
    /// `http = "http://10.1.0.2/"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// `tcp = "10.1.0.2:5432"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// `ping = "1.1.1.1"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ping: Option<String>,
    /// `dns = "example.org"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// `exec = [ "systemctl" "is-active" "app" ]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Vec<String>>,
    /// The HTTP status wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Regular expression for the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where to run it; the hypervisor when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<From>>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<u32>,
    /// `ok` or `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// Never excuse it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Declared checks by name.
pub type DeclaredChecks = BTreeMap<String, Declared>;

/// How a check ended, as in the JSON of `check` and of the summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check's name.
    pub name: String,
    /// Where it ran.
    pub from: From,
    /// Whether it passed.
    pub ok: bool,
    /// Milliseconds until it passed, or until it was given up; `null` if it never ran.
    pub millis: Option<u64>,
    /// `failing-before` when it failed and was excused; otherwise what the probe met.
    #[serde(default)]
    pub note: Option<String>,
    /// [`Check::definition`], for the next push to compare.
    #[serde(default)]
    pub definition: Option<String>,
}
