//! Keys in the environment, or in files that it names.

use std::ffi::OsString;

use crate::error::{Failure, Result};
use crate::model::access::{Access, Given, KEY, KEY_FILE, KNOWN_HOSTS, KNOWN_HOSTS_FILE};

/// Most bytes of one of them.
const MOST: usize = 1 << 20;

/// Reads this process's.
///
/// # Errors
/// 2 when one is not what it should be; nothing of it is shown.
pub fn access() -> Result<Access> {
    read(std::env::var_os, |file| std::fs::read(file))
}

fn read(
    variable: impl Fn(&'static str) -> Option<OsString>,
    file: impl Fn(&OsString) -> std::io::Result<Vec<u8>>,
) -> Result<Access> {
    let given = |name: &'static str, name_file: &'static str| -> Result<Option<Given>> {
        let set = |name| variable(name).filter(|value| !value.to_string_lossy().trim().is_empty());
        let (name, bytes) = match (set(name), set(name_file)) {
            (Some(_), Some(_)) => {
                return Err(
                    Failure::usage(format!("both {name} and {name_file} are set")).help("unset one of them")
                );
            }
            (Some(text), None) => (name, text.into_encoded_bytes()),
            (None, Some(path)) => {
                let shown = path.to_string_lossy();
                let bytes = file(&path).map_err(|error| {
                    Failure::usage(format!("cannot read {shown}, which {name_file} names: {error}"))
                })?;
                (name_file, bytes)
            }
            (None, None) => return Ok(None),
        };
        let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= MOST);
        let text = text.ok_or_else(|| Failure::usage(format!("{name} holds no text, or too much of it")))?;
        // Forms of pipelines' settings like to take away the last line's end, or to add to all.
        let lines = text.trim().lines().map(|line| format!("{}\n", line.trim_end()));
        Ok(Some(Given::new(name, lines.collect())))
    };
    let access = Access { key: given(KEY, KEY_FILE)?, known_hosts: given(KNOWN_HOSTS, KNOWN_HOSTS_FILE)? };
    if let Some(key) = access.key.as_ref().filter(|key| !is_private_key(key.text())) {
        return Err(Failure::usage(format!("{} holds no private key of ssh", key.variable))
            .help("give it the whole file, from -----BEGIN to -----END, with its line breaks"));
    }
    if let Some((hosts, number)) =
        access.known_hosts.as_ref().and_then(|hosts| Some((hosts, wrong(hosts.text())?)))
    {
        return Err(Failure::usage(format!("line {number} of {} is none of known_hosts", hosts.variable))
            .help(
                "give it the lines that `ssh-keyscan HOST` prints, once you have compared their fingerprints",
            ));
    }
    Ok(access)
}

fn is_private_key(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let last = text.lines().last().unwrap_or_default();
    let framed = |line: &str, word: &str| line.starts_with(word) && line.ends_with("PRIVATE KEY-----");
    text.lines().count() > 2 && framed(first, "-----BEGIN ") && framed(last, "-----END ")
}

/// The number of the first line that is not `[@MARKER] HOSTS TYPE KEY [COMMENT]`.
fn wrong(text: &str) -> Option<usize> {
    let good = |line: &str| {
        let words = line.split_ascii_whitespace().filter(|word| !word.starts_with('@'));
        let words: Vec<&str> = words.take(3).collect();
        let typed =
            |word: &str| ["ssh-", "ecdsa-", "sk-", "rsa-", "webauthn-"].iter().any(|t| word.starts_with(t));
        words.is_empty() || words[0].starts_with('#') || (words.len() == 3 && typed(words[1]))
    };
    text.lines().position(|line| !good(line)).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";
    const HOSTS: &str =
        "# main\nhv.example,10.0.0.1 ssh-ed25519 AAAA me\n@cert-authority *.x ecdsa-sha2-nistp256 B";

    fn with(variables: &[(&str, &str)]) -> Result<Access> {
        let value = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        read(value, |file: &OsString| match file.to_str() {
            Some("/key") => Ok(PRIVATE.replace('\n', "\r\n").into_bytes()),
            Some("/hosts") => Ok(HOSTS.into()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        })
    }

    #[test]
    fn from_the_environment_and_from_files_alike() {
        for (key, hosts) in
            [((KEY, PRIVATE), (KNOWN_HOSTS, HOSTS)), ((KEY_FILE, "/key"), (KNOWN_HOSTS_FILE, "/hosts"))]
        {
            let access = with(&[key, hosts]).unwrap();
            assert_eq!(access.key, Some(Given::new(key.0, format!("{PRIVATE}\n"))));
            assert_eq!(access.known_hosts, Some(Given::new(hosts.0, format!("{HOSTS}\n"))));
        }
        assert!(with(&[(KEY, " \n"), (KNOWN_HOSTS_FILE, "")]).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_without_showing_it() {
        let said = |variables: &[(&str, &str)]| with(variables).unwrap_err().message;
        insta::assert_snapshot!([
            said(&[(KEY, PRIVATE), (KEY_FILE, "/key")]),
            said(&[(KEY, "ssh-ed25519 AAAA secret")]),
            said(&[(KEY, &PRIVATE.replace('\n', " "))]),
            said(&[(KEY_FILE, "/nowhere")]),
            said(&[(KNOWN_HOSTS, PRIVATE)]),
            said(&[(KNOWN_HOSTS, "hv.example ssh-ed25519 AAAA\nssh-ed25519 AAAA")]),
        ].join("\n"), @"
        both DEPLOYVM_SSH_KEY and DEPLOYVM_SSH_KEY_FILE are set
        DEPLOYVM_SSH_KEY holds no private key of ssh
        DEPLOYVM_SSH_KEY holds no private key of ssh
        cannot read /nowhere, which DEPLOYVM_SSH_KEY_FILE names: entity not found
        line 1 of DEPLOYVM_KNOWN_HOSTS is none of known_hosts
        line 2 of DEPLOYVM_KNOWN_HOSTS is none of known_hosts
        ");
    }
}
