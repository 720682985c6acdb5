//! Where a hypervisor is: `local`, or what OpenSSH needs to reach it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::InvalidName;

/// `local` or `[USER@]HOST[:PORT]`. The host may be an alias from the user's own
/// OpenSSH configuration or an address in brackets (`[2001:db8::1]:22`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// This machine is the hypervisor.
    Local,
    /// Reached with OpenSSH.
    Ssh {
        /// The user to log in as, if given.
        user: Option<String>,
        /// Host name, alias or IP address, without brackets.
        host: String,
        /// The port, if given.
        port: Option<u16>,
    },
}

impl Address {
    /// The same hypervisor at another address, where `to` may leave out user and port;
    /// `None` where there is no such thing.
    pub fn moved(&self, to: &Self) -> Option<Self> {
        let (Self::Ssh { user, port, .. }, Self::Ssh { user: other, host, port: gate }) = (self, to) else {
            return None;
        };
        let user = other.clone().or_else(|| user.clone());
        Some(Self::Ssh { user, host: host.clone(), port: gate.or(*port) })
    }
}

impl FromStr for Address {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why| InvalidName { text: text.to_owned(), kind: "hypervisor address", why };
        if text == "local" {
            return Ok(Self::Local);
        }
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let user = match user {
            Some(user) if word(user, b"-_.") => Some(user.to_owned()),
            Some(_) => return Err(bad("its user has characters that no user name has")),
            None => None,
        };
        let (host, port) = split_port(rest).ok_or_else(|| bad("its port is not a number from 1 to 65535"))?;
        if !word(host, b"-_.:%") {
            return Err(bad("its host must be a name or an IP address, starting with a letter or digit"));
        }
        if host.contains('%') && !host.contains(':') {
            return Err(bad("its host has a %, which only the zone of an IPv6 address may have"));
        }
        Ok(Self::Ssh { user, host: host.to_owned(), port })
    }
}

/// A word for ssh's command line: never empty, never the start of an option.
fn word(text: &str, extra: &[u8]) -> bool {
    let starts_well =
        text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
    starts_well && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
}

fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (host, after) = inner.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok().filter(|p| *p > 0)?))),
            None if after.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        // More than one colon without brackets is an IPv6 address.
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok().filter(|p| *p > 0)?))),
        None => Some((text, None)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ssh { user, host, port } = self else { return f.write_str("local") };
        if let Some(user) = user {
            write!(f, "{user}@")?;
        }
        match (host.contains(':'), port) {
            (true, Some(port)) => write!(f, "[{host}]:{port}"),
            (true, None) => write!(f, "[{host}]"),
            (false, Some(port)) => write!(f, "{host}:{port}"),
            (false, None) => f.write_str(host),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_type() {
        for text in [
            "local",
            "hv",
            "root@hv.example",
            "root@10.0.0.1:2222",
            "[2001:db8::1]:22",
            "root@[fe80::1%eth0]",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_ssh_would_read_as_an_option_or_more() {
        for bad in [
            "",
            "-oProxyCommand=x",
            "root@-x",
            "a b",
            "hv:0",
            "hv:x",
            "hv:99999",
            "a;b@hv",
            "root@",
            "[::1",
            "h/v",
            "a%h",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_read(text in "(?s:.){0,40}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
            }
        }
    }
}
