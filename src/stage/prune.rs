//! Drops old generations on the hypervisor. Which those are is decided there, by the same
//! lines that its module runs once a day.

use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, script};
use crate::model::name::VmName;
use crate::model::old::{Listing, Old};

/// What may go of these VMs when the `keep` newest stay, and what that would free.
///
/// # Errors
/// 11 when the hypervisor cannot be asked, 12 when it cannot write to its `/run`.
pub async fn list(host: &Host, keep: u32, vms: &[VmName]) -> Result<Listing> {
    let mut args = vec!["list".to_owned(), keep.to_string()];
    args.extend(vms.iter().map(ToString::to_string));
    let reply = host.script(script::PRUNE, &args).await?;
    if reply.code != 0 {
        return Err(Failure::new(Aftermath::Refused, "cannot write to /run/deployvm on the hypervisor")
            .help("see whether the disk is full or read-only: df -h /run"));
    }
    let mut fields = reply.fields.iter();
    let vms = vms.iter().map(|vm| (vm.clone(), old(fields.next()))).collect();
    let mut number = || fields.next().and_then(|text| text.trim().parse().ok());
    let freed = number().zip(number());
    Ok(Listing { vms, freed })
}

/// Drops these generations, but none that has come into use since. Returns what was
/// dropped.
///
/// # Errors
/// 11 when the hypervisor cannot be asked, 12 when something could not be dropped.
pub async fn drop(host: &Host, keep: u32, old: &[(VmName, Vec<u64>)]) -> Result<Vec<(VmName, Old)>> {
    let mut args = vec!["drop".to_owned(), keep.to_string()];
    for (vm, numbers) in old {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        args.extend([vm.to_string(), numbers.join(" ")]);
    }
    let reply = host.script(script::PRUNE, &args).await?;
    if reply.code != 0 {
        let message =
            "some generations could not be dropped: cannot write to /var/lib/deployvm on the hypervisor";
        return Err(Failure::new(Aftermath::Refused, message)
            .help("see whether the disk is read-only: mount | grep /var; then run this again"));
    }
    let mut fields = reply.fields.iter();
    Ok(old.iter().map(|(vm, _)| (vm.clone(), self::old(fields.next()))).collect())
}

fn old(field: Option<&String>) -> Old {
    match field.map(String::as_str) {
        Some("busy") => Old::Busy,
        text => {
            let mut numbers: Vec<u64> =
                text.unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
            numbers.sort_unstable();
            Old::Numbers(numbers)
        }
    }
}
