//! The layers that a setting can come from, weakest first, and how each is named
//! to a user.

use std::fmt;

/// The settings' file at the flake's root.
pub const FILE_NAME: &str = "deployvm.toml";

/// Where a value came from. The variants stand in the order of the layers: later ones win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// deployvm's own default.
    BuiltIn,
    /// The flake's `deployvm` output.
    Flake,
    /// `deployvm.*` options in the configuration of this VM.
    Module(String),
    /// `deployvm.toml` at the flake's root.
    File,
    /// A table `[environments.NAME]` of `deployvm.toml`.
    Environment(String),
    /// This environment variable.
    Variable(String),
    /// This flag.
    Flag(&'static str),
}

impl Source {
    /// The layer as one word, for scripts.
    pub fn layer(&self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Flake => "flake",
            Self::Module(_) => "module",
            Self::File => "file",
            Self::Environment(_) => "environment",
            Self::Variable(_) => "variable",
            Self::Flag(_) => "flag",
        }
    }

    /// Whether it was said for this run, rather than once for the flake: what such a
    /// layer says about all VMs also holds for those of which a weaker layer says more.
    pub fn is_for_this_run(&self) -> bool {
        matches!(self, Self::Environment(_) | Self::Variable(_) | Self::Flag(_))
    }

    /// Its place among the layers, whatever its name.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::BuiltIn => 0,
            Self::Flake => 1,
            Self::Module(_) => 2,
            Self::File => 3,
            Self::Environment(_) => 4,
            Self::Variable(_) => 5,
            Self::Flag(_) => 6,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::Flake => f.write_str("the flake's deployvm output"),
            Self::Module(vm) => write!(f, "the configuration of {vm}"),
            Self::File => f.write_str(FILE_NAME),
            Self::Environment(name) => write!(f, "{} [environments.{name}]", FILE_NAME),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}
