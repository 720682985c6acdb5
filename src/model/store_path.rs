//! Paths in the Nix store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::InvalidName;

/// A top-level path in `/nix/store`: `/nix/store/<32 base-32 characters>-<name>`,
/// nothing below it. The name has only the characters that Nix allows, so the
/// text is one word for every shell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(String);

const STORE: &str = "/nix/store/";

impl StorePath {
    /// The whole path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 32 characters of the hash.
    pub fn hash(&self) -> &str {
        self.0.get(STORE.len()..STORE.len() + 32).unwrap_or_default()
    }

    /// What follows the hash and its dash, such as `openssl-3.0.20`.
    pub fn name(&self) -> &str {
        self.0.get(STORE.len() + 33..).unwrap_or_default()
    }

    /// Whether this is a derivation (`….drv`).
    pub fn is_derivation(&self) -> bool {
        self.0.ends_with(".drv")
    }
}

impl FromStr for StorePath {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why| InvalidName { text: text.to_owned(), kind: "store path", why };
        let rest = text.strip_prefix(STORE).ok_or_else(|| bad("it is not below /nix/store"))?;
        let (hash, name) = rest.split_at_checked(32).ok_or_else(|| bad("its hash is too short"))?;
        if !hash.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()) {
            return Err(bad("its hash has characters that no hash has"));
        }
        let name = name.strip_prefix('-').ok_or_else(|| bad("no '-' follows its hash"))?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+-._?=".contains(&b);
        if name.is_empty() || name.len() > 211 || !name.bytes().all(allowed) {
            return Err(bad("its name is not one that Nix allows"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for StorePath {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StorePath> for String {
    fn from(path: StorePath) -> String {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_a_path_apart() {
        let path: StorePath = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-openssl-3.0.20".parse().unwrap();
        assert_eq!(path.hash(), "0123456789abcdfghijklmnpqrsvwxyz");
        assert_eq!(path.name(), "openssl-3.0.20");
    }

    #[test]
    fn refuses_what_is_not_a_top_level_store_path() {
        for bad in [
            "/nix/store/",
            "/nix/store/0123456789abcdfghijklmnpqrsvwxyz",
            "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a/b",
            "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a b",
            "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a\nb",
            "/tmp/0123456789abcdfghijklmnpqrsvwxyz-a",
        ] {
            assert!(bad.parse::<StorePath>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_never_takes_a_slash(text in "(/nix/store/)?(?s:.){0,60}") {
            if let Ok(path) = text.parse::<StorePath>() {
                prop_assert!(!path.name().contains('/'));
            }
        }
    }
}
