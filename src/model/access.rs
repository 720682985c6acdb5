//! Keys that come with the command, as in a pipeline whose machine has none of its own:
//! a private key to log in with, and the host keys to believe.

use std::fmt;

/// The private key itself. It is taken out of the environment of every program that is
/// started.
pub const KEY: &str = "DEPLOYVM_SSH_KEY";
/// A file with the private key.
pub const KEY_FILE: &str = "DEPLOYVM_SSH_KEY_FILE";
/// Lines of known_hosts.
pub const KNOWN_HOSTS: &str = "DEPLOYVM_KNOWN_HOSTS";
/// A file with such lines.
pub const KNOWN_HOSTS_FILE: &str = "DEPLOYVM_KNOWN_HOSTS_FILE";

/// What was given; without either, the user's own ssh decides alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// A private key for ssh, whole.
    pub key: Option<Given>,
    /// Lines of known_hosts. No other host keys are believed then.
    pub known_hosts: Option<Given>,
}

impl Access {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.key.is_none() && self.known_hosts.is_none()
    }
}

/// A text and the variable that it came by. Printing one shows the variable only.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    /// The variable.
    pub variable: &'static str,
    text: String,
}

impl Given {
    /// A text that came by this variable.
    pub fn new(variable: &'static str, text: String) -> Self {
        Self { variable, text }
    }

    /// The text, which is nobody's but ssh's.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({})", self.variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_printed() {
        let access = Access { key: Some(Given::new(KEY, "secret".to_owned())), known_hosts: None };
        assert_eq!(format!("{access:?}"), "Access { key: Some(Given(DEPLOYVM_SSH_KEY)), known_hosts: None }");
    }
}
