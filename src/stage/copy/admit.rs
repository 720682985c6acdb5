//! Whether the hypervisor's Nix takes closures from us, asked before any of them is sent:
//! from root and trusted users it does, from others only what is signed with a key that
//! it trusts.

use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, process, script};
use crate::model::login::{Login, Takes};
use crate::model::store_path::StorePath;
use crate::tool::nix::sign::{SigningKey, signatures, unsigned};
use crate::tool::nix::{PassThrough, errors};

/// Store paths in one remote call.
const AT_ONCE: usize = 1000;

/// Whether it takes everything from us, signed or not.
pub fn is_trusted(host: &Host) -> bool {
    host.login().is_none_or(|login| login.takes == Takes::Everything)
}

/// Refuses what would not be taken.
///
/// # Errors
/// 12 with what to do about it; 11 when the hypervisor cannot be asked.
pub async fn admit(host: &Host, paths: &[StorePath], pass: &PassThrough) -> Result<()> {
    let Some((login, keys)) = host.login().and_then(|login| match &login.takes {
        Takes::Everything => None,
        Takes::Signed(keys) => Some((login, keys)),
    }) else {
        return Ok(());
    };
    if paths.is_empty() || host.store().is_none() {
        return Ok(());
    }
    if let Some(key) = &pass.sign_key {
        return if keys.iter().any(|k| k == key.public()) { Ok(()) } else { Err(stranger(login, key)) };
    }
    let output = process::run(&signatures(paths, pass)).await.map_err(errors::not_started)?;
    if !output.ok() {
        return Err(errors::explain(&output).failure("cannot ask the local store who signed its paths"));
    }
    let mut lacks = Vec::new();
    for chunk in unsigned(&output.text(), keys).chunks(AT_ONCE) {
        let args: Vec<String> = chunk.iter().map(ToString::to_string).collect();
        // What is there already is not sent.
        let reply = host.script(script::MISSING, &args).await?;
        lacks.extend(reply.fields.first().into_iter().flat_map(|f| f.lines().map(str::to_owned)));
    }
    if lacks.is_empty() { Ok(()) } else { Err(unknown(login, &lacks)) }
}

/// The key is not one that it trusts.
fn stranger(login: &Login, key: &SigningKey) -> Failure {
    let Login { user, host, .. } = login;
    let name = key.public().split(':').next().unwrap_or_default();
    let message =
        format!("the Nix of {host} does not trust the key {name}, and takes nothing unsigned from {user}");
    let (place, restart) = place(login, "trusted-public-keys");
    Failure::new(Aftermath::Refused, message)
        .help(format!("add this key to {place}{restart}:\n    {}", key.public()))
}

/// Nobody whom it trusts has signed these.
fn unknown(login: &Login, lacks: &[String]) -> Failure {
    let Login { user, host, .. } = login;
    let message = format!(
        "the Nix of {host} takes only signed closures from {user}, and {} are not signed by a key that it trusts",
        match lacks.len() {
            1 => "1 path".to_owned(),
            many => format!("{many} paths"),
        }
    );
    let (place, restart) = place(login, "trusted-users");
    Failure::new(Aftermath::Refused, message).output(&lacks.join("\n")).help(format!(
        "sign them, with a key whose public half is in trusted-public-keys there: --sign-key FILE\n\
         or let it trust the user: add {user} to {place}{restart}\n\
         or build there: --build-on hypervisor"
    ))
}

/// Where a setting of Nix stands, and what it takes to be read.
fn place(login: &Login, setting: &str) -> (String, &'static str) {
    if login.nixos {
        (format!("nix.settings.{setting} of {}", login.host), "")
    } else {
        (
            format!("{setting} in /etc/nix/nix.conf on {}", login.host),
            ", and let it be read: systemctl restart nix-daemon",
        )
    }
}
