//! Who we are: for locks and the ledger.

use super::process;
use crate::model::argv::Argv;
use crate::model::name::TransactionId;

/// `user@host` of this machine, with only the characters that such names have.
pub async fn who() -> String {
    #[expect(clippy::disallowed_methods, reason = "this is the door to who the user is")]
    let user =
        std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".to_owned());
    let host = process::run(&Argv::new("uname").arg("-n")).await.map(|o| o.text()).unwrap_or_default();
    let plain = |text: &str| -> String {
        text.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-_.+".contains(*c)).take(64).collect()
    };
    format!("{}@{}", plain(&user), plain(&host))
}

/// A new id for a push or a transaction: UTC time to the second and a random part.
pub fn new_id() -> Option<TransactionId> {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let time: String = super::clock::rfc3339(super::clock::unix_seconds())
        .to_ascii_lowercase()
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == 't')
        .collect();
    format!("{time}-{:06x}", random & 0xff_ffff).parse().ok()
}

/// The socket of the user's SSH agent, if there is said to be one.
pub fn agent() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the door to who the user is")]
    let socket = std::env::var("SSH_AUTH_SOCK").ok();
    socket.filter(|path| !path.is_empty())
}
