//! Builds on the hypervisor what was sent there as derivations: the same words for
//! Nix and the same reading of its log as on this machine.

use super::{Words, build, explain, pass};
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, script};
use crate::model::event::{Event, Events};
use crate::model::inventory::Wanted;
use crate::model::name::TransactionId;
use crate::tool::nix::build::Watch;
use crate::tool::nix::errors;

/// Builds the runners of these microVMs there. Their derivations are there, and held.
///
/// # Errors
/// 10 when a derivation does not build, 20 when the connection was lost.
pub async fn build(
    host: &Host,
    id: &TransactionId,
    todo: &[Wanted],
    options: &[(String, String)],
    events: &Events,
) -> Result<()> {
    events.send(Event::Phase { name: "build-there", total: Some(todo.len() as u64) });
    let pass = pass(options);
    let mut args = vec![id.to_string()];
    args.extend(build::realise(todo.iter().map(|w| &w.drv), &pass).args);
    let mut watch = Watch::default();
    let listen = |line: &str| {
        if let Some(event) = watch.line(line) {
            events.send(event);
        }
        line != "beat" && !line.starts_with("@nix ")
    };
    let reply = host.sift(script::BUILD, &args, listen).await.map_err(|failure| {
        if failure.aftermath != Aftermath::Unreachable {
            return failure.sent();
        }
        Failure::new(Aftermath::StoreOnly, "the connection was lost while the hypervisor was building")
            .help("it stops a build that nobody listens to; try again: what is built already stays built")
    })?;
    let words = words(host);
    let failure = match (reply.code, watch.why()) {
        (0, _) => return Ok(()),
        (_, Some(why)) => explain(why, &todo.iter().collect::<Vec<_>>(), &pass, &words).await,
        (73, None) => Failure::new(Aftermath::Refused, "cannot write to /run/deployvm on the hypervisor")
            .output(&reply.lines.join("\n")),
        (_, None) => errors::read(&reply.lines.join("\n")).failure("cannot build on the hypervisor"),
    };
    Err(failure.sent())
}

fn words(host: &Host) -> Words {
    Words {
        place: " on the hypervisor",
        other_system: "the hypervisor cannot build for that system: give it a remote builder",
        // Unlike `nix log` it needs no experimental feature, which may be off there.
        log: host.by_hand("nix-store --read-log"),
    }
}

/// Stops the build of this id, if it is under way, and lets go of what was held for it.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn abandon(host: &Host, id: &TransactionId) -> Result<()> {
    host.script(script::ABANDON, &[id.to_string()]).await.map(|_| ())
}
