//! Asks a hypervisor what it kept about generations: the terms on which they were
//! deployed, and what can be read off the runners themselves.

use crate::error::Result;
use crate::host::{Host, script};
use crate::model::name::VmName;
use crate::model::store_path::StorePath;
use crate::model::terms::Terms;
use crate::tool::nix::eval::is_device;

/// What is known of one generation without its flake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalled {
    /// The terms on which it was deployed; `None` for one that was adopted.
    pub terms: Option<Terms>,
    /// Those of the newest generation of the VM that has any.
    pub newest: Option<Terms>,
    /// Taps that the runner makes.
    pub taps: Vec<String>,
    /// Whether it is in the store.
    pub valid: bool,
}

/// Asks about generations, each by number and path.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn recall(host: &Host, wanted: &[(VmName, u64, StorePath)]) -> Result<Vec<Recalled>> {
    let args: Vec<String> = wanted
        .iter()
        .flat_map(|(vm, number, path)| [vm.to_string(), number.to_string(), path.to_string()])
        .collect();
    let reply = host.script(script::RECALL, &args).await?;
    let mut fields = reply.fields.chunks_exact(4);
    let recalled = wanted.iter().map(|(_, _, path)| match fields.next() {
        Some([terms, newest, taps, valid]) => Recalled {
            // A number may have been given again: only the path says whose terms they are.
            terms: Terms::read(terms).filter(|terms| terms.wanted.runner == *path),
            newest: Terms::read(newest),
            taps: taps.split_whitespace().filter(|tap| is_device(tap)).map(str::to_owned).collect(),
            valid: valid == "yes",
        },
        _ => Recalled::default(),
    });
    Ok(recalled.collect())
}
