//! Names that cross to a shell, a unit name, a directory or an attribute path.
//! They are parsed once, at the edge; afterwards the type is the proof.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest glob over names, in bytes: the matcher of a very long one does not fit.
pub const MOST_GLOB: usize = 256;

/// The hypervisor's own system, where a VM's name is expected.
pub const HOST: &str = "_host";

/// How alike two names are, from 0 to 1, for those who mistyped one. What is far too long
/// for a name is like none: comparing takes the product of both lengths.
pub fn likeness(a: &str, b: &str) -> f64 {
    if a.len().max(b.len()) > MOST_GLOB {
        return 0.0;
    }
    strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase())
}

/// Why a text is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {kind}: {why}")]
pub struct InvalidName {
    /// The text as it came.
    pub text: String,
    /// What it should have been, such as `VM name`.
    pub kind: &'static str,
    /// What is wrong with it, in words.
    pub why: &'static str,
}

/// The name of a microVM: ASCII letters, digits, `-`, `_`, `.`, first a letter
/// or digit, at most 64 bytes. It is a systemd instance, a directory and a flake
/// attribute. A name that looks like a profile's generation link
/// (`vm1-2-link`) or its lock (`vm1.lock`) is refused, because it would be taken for one
/// of `vm1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmName(String);

impl VmName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands where a VM's name does when the hypervisor's own system is meant: in the
    /// ledger, in transactions, locks and outcomes. No microVM can be called so, and no
    /// text is ever parsed into it.
    pub fn host() -> Self {
        Self(HOST.to_owned())
    }

    /// Whether it is [`VmName::host`].
    pub fn is_host(&self) -> bool {
        self.0 == HOST
    }

    /// The systemd unit that runs this microVM.
    pub fn unit(&self) -> String {
        format!("microvm@{}.service", self.0)
    }
}

impl FromStr for VmName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        plain_word(text, "VM name", 64)?;
        if looks_like_generation_link(text) {
            return Err(invalid(
                text,
                "VM name",
                "it looks like a generation link of a Nix profile (NAME-N-link)",
            ));
        }
        if text.ends_with(".lock") {
            return Err(invalid(text, "VM name", "it looks like the lock of a Nix profile (NAME.lock)"));
        }
        Ok(Self(text.to_owned()))
    }
}

fn looks_like_generation_link(text: &str) -> bool {
    let Some(rest) = text.strip_suffix("-link") else { return false };
    match rest.rsplit_once('-') {
        Some((_, digits)) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
        None => false,
    }
}

/// The id of a transaction on the hypervisor: `[a-z0-9-]`, at most 40 bytes. It
/// is a directory and part of unit names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TransactionId(String);

impl TransactionId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TransactionId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = "transaction id";
        if text.is_empty() || text.len() > 40 {
            return Err(invalid(text, kind, "it must have 1 to 40 bytes"));
        }
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.starts_with('-') || !text.bytes().all(allowed) {
            return Err(invalid(text, kind, "only a-z, 0-9 and - are allowed, and no - at the start"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A word of letters, digits, `-`, `_` and `.` that starts with a letter or digit:
/// names of hypervisors, tags and checks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Word(String);

impl Word {
    /// The word as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Word {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        plain_word(text, "name", 64)?;
        Ok(Self(text.to_owned()))
    }
}

fn plain_word(text: &str, kind: &'static str, most: usize) -> Result<(), InvalidName> {
    let Some(first) = text.bytes().next() else {
        return Err(invalid(text, kind, "it is empty"));
    };
    if text.len() > most {
        return Err(invalid(text, kind, "it is longer than 64 bytes"));
    }
    if !first.is_ascii_alphanumeric() {
        return Err(invalid(text, kind, "it must start with an ASCII letter or digit"));
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err(invalid(text, kind, "only ASCII letters, digits, '-', '_' and '.' are allowed"));
    }
    Ok(())
}

fn invalid(text: &str, kind: &'static str, why: &'static str) -> InvalidName {
    InvalidName { text: text.to_owned(), kind, why }
}

macro_rules! text_type {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}
text_type!(VmName);
text_type!(TransactionId);
text_type!(Word);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_could_be_more_than_a_name() {
        for bad in
            ["", "-x", ".x", "a b", "a;b", "$(x)", "a\nb", "é", "vm/1", "vm1-2-link", "vm1.lock", "a'b"]
        {
            assert!(bad.parse::<VmName>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(65).parse::<VmName>().is_err());
        for good in ["vm1", "my.vm", "ledger", "a_b-c", "9", "vm-link", "vm-x-link"] {
            assert!(good.parse::<VmName>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn no_vm_is_called_like_the_hypervisor_itself() {
        assert!(HOST.parse::<VmName>().is_err());
        assert!(VmName::host().is_host() && !"host".parse::<VmName>().unwrap().is_host());
    }

    #[test]
    fn what_is_too_long_is_like_nothing() {
        assert!(likeness("vm33", "VM3") > 0.9);
        let long = "vm3".repeat(1_000_000);
        assert_eq!(likeness(&long, &long), 0.0);
    }

    proptest! {
        #[test]
        fn a_name_has_no_byte_that_a_shell_reads(text in "(?s:.){0,80}") {
            if let Ok(name) = text.parse::<VmName>() {
                prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
                prop_assert!(name.as_str().len() <= 64 && !name.as_str().starts_with(['-', '.']));
            }
        }
    }
}
