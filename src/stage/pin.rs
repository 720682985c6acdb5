//! Keeps generations from `prune`, or lets them go.

use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, script};
use crate::model::name::VmName;

/// Pins a generation, or with `keep` false lets it go. Returns whether that changed
/// anything; `None` when there is no such generation.
///
/// # Errors
/// 11 when the hypervisor cannot be asked, 12 when the VM is locked or nothing can be
/// written there.
pub async fn pin(host: &Host, vm: &VmName, number: u64, keep: bool) -> Result<Option<bool>> {
    let verb = if keep { "pin" } else { "unpin" };
    let reply = host.script(script::PIN, &[vm.to_string(), number.to_string(), verb.to_owned()]).await?;
    let before = reply.fields.first().is_some_and(|word| word == "yes");
    match reply.code {
        0 => Ok(Some(before != keep)),
        66 => Ok(None),
        75 => Err(Failure::new(Aftermath::Refused, format!("somebody else works on {vm}"))
            .help(format!("see who: deployvm status {vm} --no-eval"))),
        _ => Err(Failure::new(Aftermath::Refused, "cannot write to /var/lib/deployvm on the hypervisor")
            .help("see whether the disk is full or read-only: df -h /var/lib")),
    }
}
