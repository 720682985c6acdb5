//! Looks at a hypervisor: everything that a plan needs, in one remote call. A login that
//! is not root has to become it first ([`rise`]): before anything else, so that nothing
//! was touched when it may not.

mod rise;

use std::collections::BTreeMap;

use crate::error::{Aftermath, Failure, Result, last_lines};
use crate::host::{Host, script};
use crate::model::closure::Closure;
use crate::model::login::Elevate;
use crate::model::name::VmName;
use crate::model::observed::{HostFacts, Observed};
use crate::model::store_path::StorePath;
use crate::tool::microvm::STATE_DIR;
use crate::tool::nix::closure::parse_listing;
use crate::tool::nix::version;
use crate::tool::{events, login, observation};

/// How much of the ledger's end one look brings along, in bytes; of what is older, only
/// the lines that say what each VM got.
const LEDGER_BYTES: u32 = 1 << 20;

/// Looks. For each VM given with the runner that is wanted, the closure of what it has
/// comes along when it differs. `elevate` says how to become root, if that is needed.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked, does not let us be root, or lacks what a
/// deployment needs.
pub async fn observe(
    host: &Host,
    elevate: Option<Elevate>,
    wanted: &[(VmName, StorePath)],
) -> Result<Observed> {
    let observed = look(host, elevate, wanted).await?;
    demand(&observed.host)?;
    Ok(observed)
}

/// The same, whatever the hypervisor lacks.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked or does not let us be root.
pub async fn look(host: &Host, elevate: Option<Elevate>, wanted: &[(VmName, StorePath)]) -> Result<Observed> {
    let mut args = vec![STATE_DIR.to_owned(), LEDGER_BYTES.to_string()];
    for (vm, runner) in wanted {
        args.extend([vm.to_string(), runner.to_string()]);
    }
    let mut reply = host.script(script::OBSERVE, &args).await?;
    if let Some(login) = login::parse(&reply.fields) {
        reply = rise::rise(host, login, elevate, &args).await?;
    }
    Ok(observation::parse(&reply.fields))
}

/// What every deployment needs there.
fn demand(facts: &HostFacts) -> Result<()> {
    if facts.nix.is_none() {
        return Err(Failure::new(Aftermath::Unreachable, format!("there is no Nix on {}", facts.name)).help(
            "looked in /run/current-system/sw/bin, /nix/var/nix/profiles/default/bin and the usual places; \
             an error such as `nix-daemon: command not found` has the same cause",
        ));
    }
    if facts.systemd < 252 {
        let found = facts.systemd;
        return Err(Failure::new(Aftermath::Unreachable, format!("{} has systemd {found}", facts.name))
            .help("deployvm needs systemd 252 or later there"));
    }
    let nix = version::parse(facts.nix.as_deref().unwrap_or_default());
    if version::too_old(&nix) {
        let message = format!("{} has Nix {nix}, which is too old", facts.name);
        return Err(Failure::new(Aftermath::Unreachable, message).help(format!("{} there", version::NEEDED)));
    }
    if !facts.missing.is_empty() {
        let missing = facts.missing.join(", ");
        return Err(Failure::new(Aftermath::Unreachable, format!("{} lacks {missing}", facts.name))
            .help("every NixOS host has these; on another system install them"));
    }
    Ok(())
}

/// The closures of store paths on the hypervisor; a path that is not there is left out.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn closures(host: &Host, paths: &[StorePath]) -> Result<Vec<(StorePath, Closure)>> {
    let args: Vec<String> = paths.iter().map(ToString::to_string).collect();
    let reply = host.script(script::CLOSURES, &args).await?;
    let pairs = reply.fields.chunks_exact(2);
    Ok(pairs
        .filter_map(|pair| match pair {
            [path, listing] => {
                let closure = parse_listing(listing);
                (!closure.paths.is_empty()).then_some((path.parse().ok()?, closure))
            }
            _ => None,
        })
        .collect())
}

/// The sizes of the closures of store paths on the hypervisor, in NAR bytes; a path that
/// is not there is left out.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn sizes(host: &Host, paths: &[StorePath]) -> Result<BTreeMap<StorePath, u64>> {
    let args: Vec<String> = paths.iter().map(ToString::to_string).collect();
    let reply = host.script(script::SIZES, &args).await?;
    let listing = reply.fields.first().map(String::as_str).unwrap_or_default();
    Ok(parse_listing(listing).paths)
}

/// Ends every transaction that a reboot or a crash of the hypervisor left open.
/// Returns what became of each: its id and its outcome, if it has one now.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn close_open(host: &Host) -> Result<Vec<(String, Option<events::Recorded>)>> {
    let reply = host.script(script::CLOSE, &[]).await?;
    let pairs = reply.fields.chunks_exact(2);
    Ok(pairs
        .filter_map(|pair| match pair {
            [id, outcome] => Some((id.clone(), events::parse_outcome(outcome))),
            _ => None,
        })
        .collect())
}

/// Those of the VMs that somebody works on, each with who that is.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn holders(host: &Host, vms: &[VmName]) -> Result<Vec<(VmName, String)>> {
    let args: Vec<String> = vms.iter().map(ToString::to_string).collect();
    let reply = host.script(script::LOCKS, &args).await?;
    let holder = |text: &String| last_lines(text, 1).concat();
    let all = vms.iter().cloned().zip(reply.fields.iter().map(holder));
    Ok(all.filter(|(_, holder)| !holder.is_empty()).collect())
}
