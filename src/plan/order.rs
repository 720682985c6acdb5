//! In which order microVMs are switched: those named in `after` first, otherwise by
//! name, so that the same flake always gives the same order.

use std::collections::{BTreeMap, BTreeSet};

use super::select::nearest_first;
use crate::error::{Failure, Result};
use crate::model::name::VmName;

/// Orders the chosen VMs. `after` has each chosen VM with those that come before it;
/// one that is not chosen is left out of account. `in_flake` are all known names.
///
/// # Errors
/// When `after` names a VM that does not exist, or goes round in a circle (exit 2).
pub fn order(after: &BTreeMap<VmName, Vec<VmName>>, in_flake: &[String]) -> Result<Vec<VmName>> {
    let mut waiting: BTreeMap<&VmName, BTreeSet<&VmName>> = BTreeMap::new();
    for (vm, before) in after {
        if let Some(unknown) = before.iter().find(|b| !in_flake.iter().any(|known| known == b.as_str())) {
            let known = nearest_first(unknown.as_str(), in_flake.iter().map(String::as_str));
            return Err(Failure::usage(format!(
                "{vm} is to come after {unknown}, which the flake does not have"
            ))
            .help(format!("known, nearest first: {}", known.join(", "))));
        }
        waiting.insert(vm, before.iter().filter(|b| after.contains_key(*b)).collect());
    }
    let mut ordered: Vec<VmName> = Vec::new();
    while !waiting.is_empty() {
        let Some(next) = waiting.iter().find(|(_, before)| before.is_empty()).map(|(vm, _)| *vm) else {
            return Err(Failure::usage(format!("the order of VMs goes in a circle: {}", circle(&waiting)))
                .help("take one of these out of `after`"));
        };
        waiting.remove(next);
        for before in waiting.values_mut() {
            before.remove(next);
        }
        ordered.push(next.clone());
    }
    Ok(ordered)
}

/// A circle among VMs of which each waits for another one, as `a after b after a`.
fn circle(waiting: &BTreeMap<&VmName, BTreeSet<&VmName>>) -> String {
    let mut path: Vec<&VmName> = Vec::new();
    let mut next = waiting.keys().next().copied();
    while let Some(vm) = next {
        if let Some(start) = path.iter().position(|seen| *seen == vm) {
            let names = path.iter().skip(start).map(|vm| vm.as_str()).chain([vm.as_str()]);
            return names.collect::<Vec<_>>().join(" after ");
        }
        path.push(vm);
        next = waiting.get(vm).and_then(|before| before.first().copied());
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ordered(after: &[(&str, &[&str])]) -> String {
        let name = |n: &&str| n.parse::<VmName>().unwrap();
        let after = after.iter().map(|(vm, before)| (name(vm), before.iter().map(name).collect()));
        let known = ["hv", "vm1", "vm2", "vm3", "vm4"].map(str::to_owned);
        match order(&after.collect(), &known) {
            Ok(names) => names.iter().map(VmName::as_str).collect::<Vec<_>>().join(" "),
            Err(failure) => {
                assert_eq!(failure.aftermath.code(), 2);
                format!("{} | {}", failure.message, failure.help.unwrap_or_default())
            }
        }
    }

    #[test]
    fn after_decides_and_otherwise_the_name() {
        assert_eq!(ordered(&[("vm2", &[]), ("vm1", &[]), ("vm3", &[])]), "vm1 vm2 vm3");
        assert_eq!(ordered(&[("vm1", &["vm3"]), ("vm2", &[]), ("vm3", &[])]), "vm2 vm3 vm1");
        assert_eq!(ordered(&[("vm1", &["vm4", "vm2", "vm2"]), ("vm2", &[])]), "vm2 vm1");
        assert_eq!(ordered(&[]), "");
    }

    #[test]
    fn errors_name_the_vms() {
        insta::assert_snapshot!([
            ordered(&[("vm1", &["vm2"]), ("vm2", &["vm3"]), ("vm3", &["vm2"])]),
            ordered(&[("vm1", &["vm1"])]),
            ordered(&[("vm1", &["vm22"])]),
        ].join("\n"), @r"
        the order of VMs goes in a circle: vm2 after vm3 after vm2 | take one of these out of `after`
        the order of VMs goes in a circle: vm1 after vm1 | take one of these out of `after`
        vm1 is to come after vm22, which the flake does not have | known, nearest first: vm2, vm1, vm3, vm4, hv
        ");
    }

    proptest! {
        #[test]
        fn an_order_has_everyone_once_and_nobody_too_early(edges in prop::collection::vec((0u8..6, 0u8..6), 0..12)) {
            let name = |n: u8| format!("vm{n}").parse::<VmName>().unwrap();
            let mut after: BTreeMap<VmName, Vec<VmName>> = (0..6).map(|n| (name(n), vec![])).collect();
            for (a, b) in edges {
                after.get_mut(&name(a)).unwrap().push(name(b));
            }
            let known: Vec<String> = after.keys().map(ToString::to_string).collect();
            if let Ok(ordered) = order(&after, &known) {
                prop_assert_eq!(ordered.iter().collect::<BTreeSet<_>>().len(), 6);
                let place = |vm: &VmName| ordered.iter().position(|o| o == vm);
                for (vm, before) in &after {
                    prop_assert!(before.iter().all(|b| place(b) < place(vm)));
                }
            }
        }
    }
}
