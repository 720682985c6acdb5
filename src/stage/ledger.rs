//! Reads the ledger of a hypervisor, however large it is: at most its end, and where
//! names are given only the lines about those VMs.

use crate::error::Result;
use crate::host::{Host, script};
use crate::model::ledger::Entry;
use crate::model::name::VmName;
use crate::tool::observation::parse_ledger;

/// How much of it is read, in bytes: some ten thousand lines.
pub const MOST_BYTES: u64 = 8 << 20;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// Whether there are older ones that were not read.
    pub cut: bool,
}

/// Reads the ledger; without names, all of it.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn read(host: &Host, vms: &[VmName]) -> Result<Ledger> {
    let mut args = vec![MOST_BYTES.to_string()];
    args.extend(vms.iter().map(ToString::to_string));
    let reply = host.script(script::LEDGER, &args).await?;
    let bytes: u64 = reply.fields.first().and_then(|n| n.trim().parse().ok()).unwrap_or_default();
    let text = reply.fields.get(1).map(String::as_str).unwrap_or_default();
    Ok(Ledger { entries: parse_ledger(text), cut: bytes > MOST_BYTES })
}
