//! A microVM on this terminal: what offers the terminal to the transaction that runs it
//! (`host/scripts/foreground.sh`), and what tells that somebody is still there.

use std::time::Duration;

use crate::error::Result;
use crate::host::{Host, script};
use crate::model::argv::Argv;
use crate::model::name::TransactionId;

/// How often the laptop says that it lives; six times as long, and the VM is put back.
pub const PULSE: Duration = Duration::from_secs(5);

/// The program that offers our terminal; `None` where root runs nothing but scripts.
pub fn attach(host: &Host, id: &TransactionId) -> Option<Argv> {
    host.attended(&format!("sh /var/lib/deployvm/transactions/{id}/attach.sh"))
}

/// Says that we live.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be told.
pub async fn beat(host: &Host, id: &TransactionId, number: u64) -> Result<()> {
    host.script(script::BEAT, &[id.to_string(), number.to_string()]).await.map(drop)
}

/// Says that our terminal is not lent any more.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be told.
pub async fn gone(host: &Host, id: &TransactionId) -> Result<()> {
    host.script(script::BEAT, &[id.to_string(), "gone".to_owned()]).await.map(drop)
}
