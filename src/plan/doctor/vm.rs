//! One VM: its directory, its units, and who installs and starts it.

use super::{Findings, Hypervisor, One};
use crate::model::argv::word;
use crate::model::finding::{Mend, Place, Severity, Trap};
use crate::model::observed::Mode;

const STATE: &str = "/var/lib/microvms";
/// Restarts from which on one more is no accident, while it lies down and while it is up.
const LYING: u32 = 2;
const STANDING: u32 = 3;
/// Seconds of life that do not speak against another fall.
const YOUNG: u64 = 60;

/// Directories that are not taken for a VM's.
pub(super) fn names(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    for vm in &there.observed.linked {
        let mend = list.typed.once(format!("rm {STATE}/{vm}"));
        let what = "its directory is a link to elsewhere: it is not followed, and the VM left alone";
        let mend = format!("move what it points to into its place, after `{mend}`");
        list.error(
            Trap::DirectoryLinked,
            Place::Vm(vm.clone()),
            what,
            format!("{STATE}/{vm} is a link"),
            mend,
        );
    }
    for name in &there.observed.odd_names {
        list.warning(
            Trap::OddName,
            Place::Hypervisor,
            format!("{name:?} in {STATE} is no name that a VM can have: it is left alone"),
            format!("{STATE}/{name}"),
            "use letters, digits, `-`, `_` and `.`, first a letter or digit, at most 64",
        );
    }
}

/// Judges one.
pub(super) fn judge(one: &One<'_>, list: &mut Findings<'_>) {
    directory(one, list);
    units(one, list);
    owner(one, list);
    at_boot(one, list);
    if let Some(known) = one.known() {
        if let Some((what, mend)) = &known.refused {
            let evidence = "a push or `deployvm check` would be refused because of it";
            list.error(Trap::CheckCannotRun, one.place(), what, evidence, mend.as_str());
        }
        if let Some(what) = &known.silent {
            let mend = list.typed.deployvm(&format!("check {}", one.name));
            list.warning(
                Trap::GuestSilent,
                one.place(),
                what,
                "it runs, and nobody answers at its address",
                mend,
            );
        }
    }
}

fn directory(one: &One<'_>, list: &mut Findings<'_>) {
    let (vm, exam) = (one.name, one.exam);
    if exam.writable || !one.there.exam.has_units {
        return;
    }
    let dir = format!("{STATE}/{vm}");
    let (user, group) = one.there.exam.writer.clone().unwrap_or(("microvm".to_owned(), "kvm".to_owned()));
    let group = if group.is_empty() { "kvm".to_owned() } else { group };
    let owner = word(&format!("{user}:{group}"));
    list.error(
        Trap::DirectoryUnwritable,
        one.place(),
        format!("{user} cannot write its directory, so `booted` cannot be written and it cannot be started"),
        format!("{dir} is {}", exam.owner),
        list.typed.there(&[format!("chown {owner} {dir}"), format!("chmod 0775 {dir}")]),
    );
}

fn units(one: &One<'_>, list: &mut Findings<'_>) {
    let vm = one.name;
    let suffix = format!("@{vm}.service");
    let own = |unit: &&String| {
        unit.starts_with("microvm") && unit.ends_with(&suffix)
            || **unit == format!("install-microvm-{vm}.service")
    };
    let failed: Vec<&str> = one.there.exam.failed.iter().filter(own).map(String::as_str).collect();
    let journal = |unit: &str| list.typed.once(format!("journalctl -n 50 -u {unit}"));
    if let Some(first) = failed.first() {
        let evidence = format!("failed: {}; {} says why", failed.join(", "), journal(first));
        let names: Vec<String> = failed.iter().map(|unit| word(unit)).collect();
        let mend = list.typed.once(format!("systemctl reset-failed {}", names.join(" ")));
        let start = list.typed.deployvm(&format!("start {vm}"));
        let running = one.found.is_some_and(|found| found.is_running());
        let mend = if running { mend } else { Mend::Type(format!("{mend} && {start}")) };
        list.error(Trap::UnitFailed, one.place(), "units of it have failed", evidence, mend);
    }
    let Some(found) = one.found else { return };
    let unit = &found.unit;
    let falls = unit.sub.starts_with("auto-restart") && unit.restarts >= LYING;
    let young = unit.age.filter(|age| *age < YOUNG && unit.restarts >= STANDING);
    let (severity, what) = match young {
        _ if falls => (Severity::Error, "it falls and is started again, over and over".to_owned()),
        // The count is of all its life: a guest may have rebooted now and then.
        Some(age) => (Severity::Warning, format!("it has fallen often, and was started again {age} s ago")),
        None => return,
    };
    let mend = match found.generation {
        Some(_) => list.typed.deployvm(&format!("rollback {vm}")),
        None => format!("see what it says: `{}`", journal(&format!("microvm@{vm}"))).into(),
    };
    let evidence = format!("microvm@{vm} is {} ({}), {} restarts", unit.active, unit.sub, unit.restarts);
    list.add(severity, Trap::RestartLoop, one.place(), what, evidence, mend);
}

/// What the hypervisor's own configuration does to `current`.
fn owner(one: &One<'_>, list: &mut Findings<'_>) {
    let vm = one.name;
    let once = one.there.exam.installs.get(vm);
    let Some(found) = one.found else {
        if once == Some(&true) {
            list.error(
                Trap::InstallSkipped,
                one.place(),
                "the host's configuration never installs it: its unit is skipped where the directory exists, and here it does",
                format!("install-microvm-{vm} has ConditionPathExists=!{STATE}/{vm}, and there is no `current`"),
                // Only an empty one goes.
                list.typed.there(&[
                    format!("rmdir {STATE}/{vm}"),
                    format!("systemctl start install-microvm-{vm}.service"),
                ]),
            );
        }
        return;
    };
    if found.mode != Mode::HostOwned {
        return;
    }
    let differs = matches!((&one.exam.toplevel, &one.exam.system), (Some(a), Some(b)) if a != b);
    if differs {
        list.warning(
            Trap::HostReverts,
            one.place(),
            "the next boot or switch of the host puts back what its configuration says: something else is staged",
            format!(
                "toplevel -> {}, current has {}",
                one.exam.toplevel.as_deref().unwrap_or_default(),
                one.exam.system.as_deref().unwrap_or_default()
            ),
            list.typed.once(format!("systemctl start install-microvm-{vm}.service")),
        );
    } else {
        list.note(
            Trap::HostOwned,
            one.place(),
            "the hypervisor's own configuration writes `current` at every boot and switch; a push of it is refused",
            format!("install-microvm-{vm}.service"),
            "declare it with `flake` and `updateFlake`, or not at all, in the hypervisor's configuration",
        );
    }
}

fn at_boot(one: &One<'_>, list: &mut Findings<'_>) {
    let vm = one.name;
    let Some(found) = one.found.filter(|found| found.is_running()) else { return };
    if found.autostart && one.there.exam.starts_vms {
        return;
    }
    let (what, evidence, command) = if found.autostart {
        (
            "it will not be there after a reboot: nothing starts microvms.target",
            "microvms.target has no WantedBy",
            "systemctl enable microvms.target".to_owned(),
        )
    } else {
        (
            "it runs, but will not be there after a reboot",
            "microvms.target does not want its unit",
            format!("systemctl add-wants microvms.target microvm@{vm}.service"),
        )
    };
    let mend = match one.there.exam.nixos {
        true => format!("add \"{vm}\" to microvm.autostart in the hypervisor's configuration").into(),
        false => list.typed.once(command),
    };
    list.warning(Trap::NotAtBoot, one.place(), what, evidence, mend);
}
