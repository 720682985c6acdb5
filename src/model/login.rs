//! Who we are on a hypervisor where we are not root: how to become it there, and which
//! closures its Nix takes from us.

use serde::{Deserialize, Serialize};

/// How a login that is not root becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Elevate {
    /// sudo.
    Sudo,
    /// systemd's run0, 256 and later.
    Run0,
    /// doas.
    Doas,
    /// Not at all.
    None,
}

/// A login that is not root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user, as rules spell it: a plain name, or `#1000`.
    pub user: String,
    /// The machine's own name.
    pub host: String,
    /// What is there to become root with, the likeliest first.
    pub tools: Vec<Elevate>,
    /// Whether the entry command is installed.
    pub entry: bool,
    /// Where xargs is.
    pub xargs: String,
    /// Whether the machine runs NixOS.
    pub nixos: bool,
    /// What Nix takes.
    pub takes: Takes,
}

/// Whose closures a Nix takes from a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// It trusts the login: signatures are not asked for.
    Everything,
    /// Only what one of these keys has signed: `name:base64`.
    Signed(Vec<String>),
}
