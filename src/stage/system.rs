//! Looks at the hypervisor's own system: what runs, what was booted, its generations.

use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, script};
use crate::model::system::FoundSystem;
use crate::tool::microvm::STATE_DIR;
use crate::tool::system;

/// Looks.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked, 12 when it is no NixOS system.
pub async fn look(host: &Host) -> Result<FoundSystem> {
    let reply = host.script(script::SYSTEM, &[STATE_DIR.to_owned()]).await?;
    let found = system::parse(&reply.fields);
    if found.running().is_none() {
        return Err(Failure::new(
            Aftermath::Refused,
            "no NixOS system runs there: /run/current-system does not lead into the store",
        )
        .help("only NixOS can be deployed like this; the microVMs on it can be, with `deployvm push`"));
    }
    Ok(found)
}
