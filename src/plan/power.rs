//! What start, stop, restart and retire do to one microVM. Generations do not change;
//! what boots is what is staged.

use crate::model::name::VmName;
use crate::model::observed::{Found, Mode, Observed};
use crate::model::plan::How;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Start it, if it does not run.
    Start,
    /// Shut it down.
    Stop,
    /// Shut it down and start what is staged.
    Restart,
    /// Shut it down and unlink it; its volumes stay.
    Retire,
    /// Run it on a terminal, and then have it as it was.
    Run,
}

impl Power {
    /// The verb, as in the ledger and in names of units.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Retire => "retire",
            Self::Run => "run",
        }
    }

    /// Whether a VM runs afterwards.
    pub fn runs(self) -> bool {
        matches!(self, Self::Start | Self::Restart | Self::Run)
    }
}

/// How one VM gets there.
pub fn how(power: Power, vm: &VmName, found: &Found, observed: &Observed) -> How {
    match refusal(power, vm, found, observed) {
        Some(reason) => How::Refuse(reason),
        None if power == Power::Start && found.is_running() => How::Keep,
        None if power == Power::Stop && is_down(found) => How::Keep,
        None => How::Restart,
    }
}

/// Neither up nor about to come up.
fn is_down(found: &Found) -> bool {
    found.unit.main_pid.is_none() && matches!(found.unit.active.as_str(), "" | "inactive")
}

fn refusal(power: Power, vm: &VmName, found: &Found, observed: &Observed) -> Option<String> {
    if let Some(holder) = &found.locked {
        return Some(format!("it is locked by {}", if holder.is_empty() { "somebody" } else { holder }));
    }
    if let Some(open) = observed.open.iter().find(|open| open.concerns(vm)) {
        return Some(format!("the switch {} is still under way", open.id));
    }
    if power.runs() && !found.current_valid {
        return Some(match &found.current {
            Some(text) => format!("{text}, which is staged, is not in the hypervisor's store any more"),
            None => "nothing is staged that could be started".to_owned(),
        });
    }
    if power != Power::Retire {
        return None;
    }
    if found.mode != Mode::Imperative {
        return Some(format!(
            "the hypervisor's own configuration declares it and would install it again: take microvm.vms.{vm} out of it first"
        ));
    }
    let pins: Vec<String> = found.pins.iter().map(ToString::to_string).collect();
    let first = pins.first()?;
    Some(format!("pinned: {}; to let go of it: deployvm unpin {vm} {first}", pins.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::OpenTransaction;

    fn found(active: &str) -> Found {
        let path = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-microvm-qemu-vm1";
        Found { booted: None, ..Found::example(active, path.to_owned()) }
    }

    fn said(power: Power, found: &Found) -> String {
        let vm = "vm1".parse().unwrap();
        match how(power, &vm, found, &Observed::default()) {
            How::Refuse(reason) => reason,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_done_twice() {
        use Power::{Restart, Retire, Start, Stop};
        let row =
            |active: &str| [Start, Stop, Restart, Retire].map(|power| said(power, &found(active))).join(" ");
        assert_eq!(row("active"), "Keep Restart Restart Restart");
        assert_eq!(row("inactive"), "Restart Keep Restart Restart");
        assert_eq!(row("activating"), "Restart Restart Restart Restart");
        assert_eq!(row("failed"), "Restart Restart Restart Restart");
    }

    #[test]
    fn reasons_not_to() {
        let gone = Found { current_valid: false, ..found("active") };
        let nothing = Found { current: None, current_valid: false, ..found("inactive") };
        let locked = Found { locked: Some("me@laptop".to_owned()), ..found("active") };
        let pinned = Found { pins: vec![2, 3], ..found("active") };
        let owned = Found { mode: Mode::HostOwned, ..found("active") };
        let all = [
            said(Power::Restart, &gone),
            said(Power::Stop, &gone),
            said(Power::Start, &nothing),
            said(Power::Stop, &locked),
            said(Power::Retire, &pinned),
            said(Power::Stop, &pinned),
            said(Power::Retire, &owned),
            said(Power::Restart, &owned),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        /nix/store/0123456789abcdfghijklmnpqrsvwxyz-microvm-qemu-vm1, which is staged, is not in the hypervisor's store any more
        Restart
        nothing is staged that could be started
        it is locked by me@laptop
        pinned: 2, 3; to let go of it: deployvm unpin vm1 2
        Restart
        the hypervisor's own configuration declares it and would install it again: take microvm.vms.vm1 out of it first
        Restart
        ");
        let open = OpenTransaction { id: "t-1".to_owned(), vm: "vm1".to_owned(), alive: true };
        let observed = Observed { open: vec![open], ..Observed::default() };
        let vm = "vm1".parse().unwrap();
        assert!(matches!(how(Power::Stop, &vm, &found("active"), &observed), How::Refuse(_)));
        // One of the hypervisor itself that died is about all of them until it is ended.
        let open = ["_host", "vm2"].map(|vm| OpenTransaction {
            id: "t-2".to_owned(),
            vm: vm.to_owned(),
            alive: false,
        });
        let [host, other] = open.map(|open| Observed { open: vec![open], ..Observed::default() });
        assert!(matches!(how(Power::Start, &vm, &found("inactive"), &host), How::Refuse(_)));
        assert_eq!(how(Power::Start, &vm, &found("inactive"), &other), How::Restart);
    }
}
