//! Sends closures to the hypervisor: holds them there by pending roots first, so that
//! no garbage collection takes them, then `nix copy` over the open connection.

mod admit;
mod receive;

use std::collections::BTreeSet;

use super::Copied;
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, process, script};
use crate::model::argv::Argv;
use crate::model::event::{Event, Events};
use crate::model::name::TransactionId;
use crate::model::plan::Move;
use crate::model::store_path::StorePath;
use crate::tool::nix;
pub use crate::tool::nix::{PassThrough, sign::SigningKey};
pub use admit::admit;
use admit::is_trusted;

/// Sends what the moves need, all in one `nix copy`; nothing for the runners that are
/// `there` and held already.
///
/// # Errors
/// 10 when they cannot be signed, 12 when the hypervisor cannot hold the paths, 20 when
/// copying failed.
pub async fn copy(
    host: &Host,
    push: &TransactionId,
    moves: Vec<Move>,
    there: &BTreeSet<StorePath>,
    pass: &PassThrough,
    events: &Events,
) -> Result<Vec<Copied>> {
    let to_send = moves.iter().map(|m| &m.to).filter(|to| !there.contains(to));
    let mut paths: Vec<StorePath> = to_send.cloned().collect();
    paths.sort();
    paths.dedup();
    if !paths.is_empty() {
        if let Some(key) = &pass.sign_key {
            let output = process::run(&nix::sign::sign(key, pass, &paths)).await?;
            if !output.ok() {
                return Err(nix::errors::explain(&output).failure("cannot sign the closures"));
            }
        }
        hold(host, push, &paths).await?;
        if let Some((url, ssh_options)) = host.store() {
            events.send(Event::Phase { name: "copy", total: None });
            let argv = nix::copy::copy((&url, &ssh_options), push, is_trusted(host), pass, &paths);
            watched(host, push, events, send(&argv, "cannot copy to the hypervisor", events)).await?;
        }
    }
    Ok(already_there(moves))
}

/// Sends derivations with all that building them needs.
///
/// # Errors
/// 20 when copying failed.
pub async fn send_derivations(
    host: &Host,
    push: &TransactionId,
    derivations: &[StorePath],
    pass: &PassThrough,
    events: &Events,
) -> Result<()> {
    let Some((url, ssh_options)) = host.store() else { return Ok(()) };
    events.send(Event::Phase { name: "send", total: None });
    let store = (url.as_str(), ssh_options.as_str());
    let argv = nix::copy::copy_derivations(store, push, is_trusted(host), pass, derivations);
    watched(host, push, events, send(&argv, "cannot send derivations to the hypervisor", events)).await
}

/// For moves whose closures are on the hypervisor anyway, such as a rollback's; the
/// transaction itself checks that they are valid.
pub fn already_there(moves: Vec<Move>) -> Vec<Copied> {
    moves.into_iter().map(|movement| Copied { movement }).collect()
}

/// Holds paths on the hypervisor, whether they are there already or will be.
///
/// # Errors
/// 11 when nothing could be copied there, 12 when it cannot hold them.
pub async fn hold(host: &Host, push: &TransactionId, paths: &[StorePath]) -> Result<()> {
    let mut args = vec![push.to_string()];
    args.extend(paths.iter().map(ToString::to_string));
    let reply = host.script(script::PEND, &args).await?;
    if host.store().is_some() && !reply.noise.is_empty() {
        // `nix copy` would take it for the answer of the Nix there.
        unpend(host, push).await?;
        return Err(Failure::new(
            Aftermath::Unreachable,
            "the hypervisor's login shell prints something before every command, and Nix cannot copy through that",
        )
        .output(&reply.noise)
        .help(format!(
            "make its rc file silent where nobody logs in by hand: this must print nothing: {}",
            host.by_hand("true")
        )));
    }
    if reply.code != 0 {
        return Err(Failure::new(
            Aftermath::Refused,
            "cannot make garbage collector roots on the hypervisor",
        )
        .help("see whether /nix/var is full or read-only there: df -h /nix/var"));
    }
    Ok(())
}

/// Lets go of what [`copy`] or [`hold`] held: by now profiles and links hold it.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn unpend(host: &Host, push: &TransactionId) -> Result<()> {
    settle(host, Some(push), &[]).await
}

/// The same at the end of a command, together with the switches whose ends its user has
/// heard of.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn settle(host: &Host, push: Option<&TransactionId>, heard: &[String]) -> Result<()> {
    let mut args = vec![push.map(ToString::to_string).unwrap_or_default()];
    args.extend_from_slice(heard);
    host.script(script::UNPEND, &args).await.map(|_| ())
}

/// Does it while the other end is watched.
async fn watched(
    host: &Host,
    push: &TransactionId,
    events: &Events,
    sending: impl Future<Output = Result<()>>,
) -> Result<()> {
    tokio::select! {
        sent = sending => sent,
        never = receive::watch(host, push, events) => match never {},
    }
}

async fn send(argv: &Argv, doing: &str, events: &Events) -> Result<()> {
    let mut progress = nix::copy::Progress::default();
    let mut output = process::watch(
        argv,
        |_| (),
        |line| {
            if let Some(event) = progress.line(line) {
                events.send(event)
            }
        },
    )
    .await?;
    // Nix 2.8 on the other side trips over copies that share missing paths (nix-facts 3).
    if !output.ok() && output.errors().contains("not an absolute path: 'nix-archive-1'") {
        output = process::run(argv).await?;
    }
    if output.ok() {
        return Ok(());
    }
    let why = nix::errors::read(&progress.errors());
    Err(why.failure(doing).after(Aftermath::StoreOnly))
}
