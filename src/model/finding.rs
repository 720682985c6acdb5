//! What `doctor` finds: a trap that is known to break deployments, where it lies, what
//! shows that it does, and what mends it. Every kind of trap has a name that scripts may
//! rely on; `docs/doctor.md` explains each.

use std::fmt;

use serde::{Serialize, Serializer};

use super::name::VmName;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A deployment, a start or a rollback will fail, or something is broken now.
    Error,
    /// It goes well until something else happens.
    Warning,
    /// Worth knowing; nothing has to be done.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// Where it lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// This machine.
    Laptop,
    /// The hypervisor.
    Hypervisor,
    /// One microVM on it.
    Vm(VmName),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Laptop => f.pad("laptop"),
            Self::Hypervisor => f.pad("hypervisor"),
            Self::Vm(vm) => f.pad(vm.as_str()),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which trap.
    pub id: Trap,
    /// How much it matters.
    pub severity: Severity,
    /// Where it lies.
    #[serde(rename = "where")]
    pub place: Place,
    /// One sentence, lower case, no full stop.
    pub what: String,
    /// What shows it; one clean line.
    pub evidence: String,
    /// What mends it.
    pub mend: Mend,
}

/// What mends something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// A command, to be typed on the laptop as it stands.
    Type(String),
    /// What to do, in words.
    Do(String),
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(text) | Self::Do(text) => f.write_str(text),
        }
    }
}

impl Serialize for Mend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<&str> for Mend {
    fn from(words: &str) -> Self {
        Self::Do(words.to_owned())
    }
}

impl From<String> for Mend {
    fn from(words: String) -> Self {
        Self::Do(words)
    }
}

macro_rules! traps {
    ($($variant:ident = $id:literal,)*) => {
        /// The traps that `doctor` looks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "docs/doctor.md explains each, and a test holds the two together")]
        pub enum Trap { $($variant,)* }

        impl Trap {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }
        }
    };
}

traps! {
    NixMissingHere = "laptop-nix-missing",
    NixOldHere = "laptop-nix-old",
    NixStoreHere = "laptop-nix-store",
    SshAgent = "ssh-agent",
    NoRoute = "no-route",
    DefaultRoute = "default-route",
    NoWayIn = "no-way-in",
    NoAnswer = "no-answer",
    LoginTalks = "login-talks",
    NixPath = "nix-path",
    NixDaemon = "nix-daemon",
    Untrusted = "untrusted",
    NixMissing = "nix-missing",
    NixOld = "nix-old",
    FlakesOff = "flakes-off",
    SystemdOld = "systemd-old",
    ProgramMissing = "program-missing",
    HostModule = "host-module",
    Clock = "clock",
    Disk = "disk",
    Inodes = "inodes",
    NotPersistent = "not-persistent",
    ReadOnly = "read-only",
    Kvm = "kvm",
    HostUnit = "host-unit",
    UnitFailed = "unit-failed",
    RestartLoop = "restart-loop",
    TapMissing = "tap-missing",
    TapDown = "tap-down",
    TapUnbridged = "tap-unbridged",
    BridgeDown = "bridge-down",
    BridgeAddress = "bridge-address",
    NoForwarding = "no-forwarding",
    DirectoryUnwritable = "directory-unwritable",
    DirectoryLinked = "directory-linked",
    OddName = "odd-name",
    InstallSkipped = "install-skipped",
    HostOwned = "host-owned",
    HostReverts = "host-reverts",
    CurrentMissing = "current-missing",
    CurrentDangling = "current-dangling",
    ExtraHop = "extra-hop",
    BootedDangling = "booted-dangling",
    Stale = "stale",
    OtherRuns = "other-runs",
    RootMissing = "root-missing",
    FlakeMissing = "flake-missing",
    FlakeUnusable = "flake-unusable",
    NotAtBoot = "not-at-boot",
    NoGeneration = "no-generation",
    GenerationLost = "generation-lost",
    SameMac = "same-mac",
    SameTap = "same-tap",
    SameCid = "same-cid",
    CheckCannotRun = "check-cannot-run",
    GuestSilent = "guest-silent",
    TransactionLeft = "transaction-left",
    GuardLeft = "guard-left",
    RootLeft = "root-left",
    LedgerUnreadable = "ledger-unreadable",
    LedgerTorn = "ledger-torn",
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
