//! What a command has touched so far: it says what state things are in when the user
//! does not wait for the end, and which exit code that is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Aftermath, Failure};
use crate::model::name::VmName;

/// Shared by everything that touches something.
#[derive(Debug, Clone, Default)]
pub struct Footprint(Arc<Mutex<Marks>>);

#[derive(Debug, Default)]
struct Marks {
    /// Something was sent to the hypervisor's store.
    store: bool,
    /// Derivations were sent there to be built, before anything was approved.
    derivations: bool,
    /// VMs whose transactions have begun and not ended.
    under_way: BTreeSet<VmName>,
    /// The largest exit code of those that have ended.
    ended: Option<u8>,
    /// Switches of whose ends the user was told.
    heard: Vec<String>,
}

impl Footprint {
    /// Something goes to the hypervisor's store.
    pub fn sends(&self) {
        self.marks().store = true;
    }

    /// Derivations go there to be built. For who leaves, that is a build like any other, and
    /// no VM was touched; a bug says more than that.
    pub fn sends_derivations(&self) {
        self.marks().derivations = true;
    }

    /// A VM's transaction begins.
    pub fn begins(&self, vm: &VmName) {
        self.marks().under_way.insert(vm.clone());
    }

    /// A VM's transaction has ended with this exit code.
    pub fn ends(&self, vm: &VmName, code: u8) {
        let mut marks = self.marks();
        if marks.under_way.remove(vm) {
            marks.ended = marks.ended.max(Some(code));
        }
    }

    /// The user was told how this switch ended.
    pub fn tells(&self, id: &str) {
        self.marks().heard.push(id.to_owned());
    }

    /// All such switches.
    pub fn heard(&self) -> Vec<String> {
        self.marks().heard.clone()
    }

    /// What an interruption makes of a VM that was not begun.
    pub fn interrupted(&self) -> Aftermath {
        let marks = self.marks();
        match (marks.ended.is_some() || !marks.under_way.is_empty(), marks.store) {
            (true, _) => Aftermath::NotReached,
            (false, true) => Aftermath::StoreOnly,
            (false, false) => Aftermath::Declined,
        }
    }

    /// Where the command stands when its user leaves at once.
    pub fn left(&self) -> Failure {
        let marks = self.marks();
        let names: Vec<&str> = marks.under_way.iter().map(VmName::as_str).collect();
        let names = names.join(" ");
        if !names.is_empty() {
            // The hypervisor's own system is switched alone, and is no VM that can be named.
            let (what, look) = if marks.under_way.iter().any(VmName::is_host) {
                ("the hypervisor's system", "deployvm host generations; deployvm history".to_owned())
            } else {
                (names.as_str(), format!("deployvm status --no-eval {names}; deployvm history {names}"))
            };
            return Failure::new(Aftermath::Unknown, format!("left while {what} was being switched")).help(
                format!(
                    "the hypervisor finishes or undoes that by itself, within its deadlines; look with: {look}"
                ),
            );
        }
        let Some(code) = marks.ended else {
            drop(marks);
            return Failure::new(self.interrupted(), "left at once");
        };
        // What has ended is known; what was still to come was not reached.
        let aftermath = Aftermath::of(code.max(Aftermath::NotReached.code())).unwrap_or(Aftermath::Unknown);
        Failure::new(aftermath, "left before the end; the switches that were begun have ended")
            .help("see how, with: deployvm history")
    }

    /// Where the command stands that a bug has ended; `None` where nothing was touched.
    pub fn broken_off(&self) -> Option<Failure> {
        let left = self.left();
        let aftermath = match left.aftermath {
            Aftermath::Declined if self.marks().derivations => Aftermath::StoreOnly,
            Aftermath::Declined => return None,
            Aftermath::StoreOnly => Aftermath::StoreOnly,
            // What has ended is known to the hypervisor, but not what we had still to do.
            _ => Aftermath::Unknown,
        };
        Some(left.after(aftermath))
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_says_what_was_touched() {
        let vm = |name: &str| name.parse::<VmName>().unwrap();
        let footprint = Footprint::default();
        let codes =
            |footprint: &Footprint| (footprint.left().aftermath.code(), footprint.interrupted().code());
        assert_eq!(codes(&footprint), (130, 130));
        footprint.sends_derivations();
        assert_eq!(codes(&footprint), (130, 130));
        footprint.sends();
        assert_eq!(codes(&footprint), (20, 20));
        footprint.begins(&vm("vm1"));
        footprint.begins(&vm("vm2"));
        assert_eq!(codes(&footprint), (40, 13));
        assert!(footprint.left().help.is_some_and(|help| help.ends_with("deployvm history vm1 vm2")));
        let host = Footprint::default();
        host.begins(&VmName::host());
        assert_eq!(host.left().message, "left while the hypervisor's system was being switched");
        assert!(host.left().help.is_some_and(|help| !help.contains("_host")));
        footprint.ends(&vm("vm1"), 31);
        let left = footprint.left();
        assert_eq!((left.aftermath.code(), left.message.as_str()), (40, "left while vm2 was being switched"));
        footprint.ends(&vm("vm2"), 0);
        assert_eq!(codes(&footprint), (31, 13));
        let footprint = Footprint::default();
        footprint.begins(&vm("vm1"));
        footprint.ends(&vm("vm1"), 0);
        assert_eq!(codes(&footprint), (13, 13));
    }
}
