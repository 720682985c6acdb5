//! What can be said of VMs without their flake: from the terms that the hypervisor kept
//! with each generation, from the runners themselves, and from the settings at hand.

use std::collections::BTreeMap;

use crate::error::{Result, without_secrets};
use crate::host::Host;
use crate::model::check::From;
use crate::model::inventory::{Interface, Wanted};
use crate::model::name::VmName;
use crate::model::settings::VmSettings;
use crate::model::store_path::StorePath;
use crate::model::terms::Terms;
use crate::plan::decide::Wish;
use crate::plan::{checks, order};
use crate::stage::recall::{self, Recalled};

/// What the settings at hand make of those that a generation was deployed with.
pub type Settle<'a> = &'a dyn Fn(&VmName, &VmSettings) -> Result<VmSettings>;

/// A runner on the hypervisor that a VM shall run.
pub struct Aim {
    /// The VM.
    pub vm: VmName,
    /// Its number; 0 for none.
    pub number: u64,
    /// The runner.
    pub path: StorePath,
}

/// Asks the hypervisor what it kept.
///
/// # Errors
/// Exit 11 when it cannot be asked.
pub async fn recall(host: &Host, aims: &[Aim]) -> Result<Vec<Recalled>> {
    let asked: Vec<(VmName, u64, StorePath)> =
        aims.iter().map(|aim| (aim.vm.clone(), aim.number, aim.path.clone())).collect();
    recall::recall(host, &asked).await
}

/// What is known of the VMs, in rollout order.
///
/// # Errors
/// 2 when settings at hand make no sense.
pub fn wishes(aims: &[Aim], recalled: &[Recalled], settle: Settle<'_>) -> Result<Vec<Wish>> {
    let mut wishes = BTreeMap::new();
    let mut after = BTreeMap::new();
    for (aim, recalled) in aims.iter().zip(recalled) {
        let (vm, own) = match &recalled.terms {
            Some(terms) => (terms.wanted.clone(), terms.settings.clone()),
            None => {
                (guess(aim, recalled), recalled.newest.as_ref().map(guessed_settings).unwrap_or_default())
            }
        };
        let settings = settle(&aim.vm, &nothing_to_start_here(own))?;
        let before = settings.after.clone().unwrap_or_default();
        after.insert(
            aim.vm.clone(),
            before.into_iter().filter(|vm| aims.iter().any(|a| a.vm == *vm)).collect(),
        );
        let checks = checks::checks(&vm, &settings)?;
        let runner = aim.path.clone();
        wishes.insert(
            aim.vm.clone(),
            Wish {
                vm: aim.vm.clone(),
                runner,
                wanted: Some(vm),
                settings,
                checks,
                flake: None,
                behind: None,
            },
        );
    }
    let names: Vec<String> = aims.iter().map(|aim| aim.vm.to_string()).collect();
    let ordered = order::order(&after, &names)?;
    Ok(ordered.into_iter().filter_map(|vm| wishes.remove(&vm)).collect())
}

/// Checks that would start a program on this machine are this machine's to declare: what
/// a hypervisor remembers of them is not enough. One with a password in its URL is not
/// asked any more, and does not stand in the way either.
fn nothing_to_start_here(mut settings: VmSettings) -> VmSettings {
    for check in settings.checks.iter_mut().flat_map(BTreeMap::values_mut).filter(|c| c.exec.is_some()) {
        if let Some(from) = &mut check.from {
            from.retain(|place| *place != From::Laptop);
        }
    }
    if let Some(checks) = &mut settings.checks {
        checks.retain(|_, check| {
            let open = check.http.as_ref().is_none_or(|url| without_secrets(url) == *url);
            open && (check.exec.is_none() || check.from.as_ref().is_none_or(|from| !from.is_empty()))
        });
    }
    settings
}

/// What can be said of a generation that was not deployed by deployvm: its taps, and
/// the address that the VM has now.
fn guess(aim: &Aim, recalled: &Recalled) -> Wanted {
    let newest = recalled.newest.as_ref().map(|terms| &terms.wanted);
    let tap = |id: &String| Interface { kind: "tap".to_owned(), id: id.clone(), mac: None, bridge: None };
    Wanted {
        interfaces: recalled.taps.iter().map(tap).collect(),
        addresses: newest.map(|wanted| wanted.addresses.clone()).unwrap_or_default(),
        cid: newest.and_then(|wanted| wanted.cid),
        // Nothing is ever built of it, and nobody knows whether it had an sshd.
        ..Wanted::new(aim.vm.clone(), String::new(), aim.path.clone(), aim.path.clone())
    }
}

/// Checks that were declared for a later generation say nothing about an earlier one.
fn guessed_settings(terms: &Terms) -> VmSettings {
    VmSettings { checks: None, ..terms.settings.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hypervisor_cannot_have_programs_started_here() {
        let own: VmSettings = serde_json::from_value(serde_json::json!({ "checks": {
            "both": { "exec": ["true"], "from": ["laptop", "vm"] },
            "evil": { "exec": ["sh", "-c", "true"], "from": ["laptop", "laptop"] },
            "there": { "exec": ["true"] },
            "web": { "http": "http://10.1.0.2/", "from": ["laptop"] },
            "secret": { "http": "http://me:x@10.1.0.2/" },
        } }))
        .unwrap();
        let checks = nothing_to_start_here(own).checks.unwrap();
        assert_eq!(checks.keys().collect::<Vec<_>>(), ["both", "there", "web"]);
        assert_eq!(checks["both"].from.as_deref(), Some(&[From::Vm][..]));
        assert_eq!(checks["web"].from.as_deref(), Some(&[From::Laptop][..]));
    }
}
