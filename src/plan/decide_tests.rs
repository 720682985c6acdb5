//! Tests of `decide`: one row of contract 3.4 after the other.

use super::*;

const OLD: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-microvm-qemu-vm1";
const NEW: &str = "/nix/store/1123456789abcdfghijklmnpqrsvwxyz-microvm-qemu-vm1";

fn found(current: &str, booted: Option<&str>, active: &str) -> Found {
    Found {
        booted: booted.map(str::to_owned),
        booted_valid: booted.is_some(),
        ..Found::example(active, current.to_owned())
    }
}

fn wish(vm: VmName) -> Wish {
    Wish {
        vm,
        runner: NEW.parse().unwrap(),
        wanted: None,
        settings: VmSettings::default(),
        checks: Vec::new(),
        flake: None,
        behind: None,
    }
}

fn plan_for(found: Option<Found>, choices: Choices) -> Move {
    let vm: VmName = "vm1".parse().unwrap();
    let mut observed = Observed::default();
    observed.host.store_free = u64::MAX;
    observed.host.state_free = u64::MAX;
    observed.vms.extend(found.map(|f| (vm.clone(), f)));
    decide("hv", &[wish(vm)], &observed, &BTreeMap::new(), choices).moves.remove(0)
}

/// The same for a new VM, of a hypervisor that starts these at boot.
fn plan_for_new(starts: &[&str]) -> Move {
    let observed =
        Observed { autostart: starts.iter().map(|vm| vm.parse().unwrap()).collect(), ..Observed::default() };
    decide("hv", &[wish("vm1".parse().unwrap())], &observed, &BTreeMap::new(), Choices::default())
        .moves
        .remove(0)
}

fn how(found: Option<Found>, choices: Choices) -> How {
    plan_for(found, choices).how
}

#[test]
fn restart_exactly_when_what_is_booted_differs() {
    let none = Choices::default();
    assert_eq!(how(None, none), How::Install);
    assert_eq!(how(Some(found(NEW, Some(NEW), "active")), none), How::Keep);
    assert_eq!(how(Some(found(OLD, Some(OLD), "active")), none), How::Restart);
    assert_eq!(how(Some(found(NEW, Some(OLD), "active")), none), How::Restart, "stale");
    assert_eq!(how(Some(found(OLD, Some(NEW), "active")), none), How::Stage, "only the link");
}

#[test]
fn what_really_runs_wins_over_booted() {
    let mut liar = found(NEW, Some(NEW), "active");
    liar.running = Some(OLD.parse().unwrap());
    assert_eq!(how(Some(liar), Choices::default()), How::Restart);
}

#[test]
fn stopped_stays_stopped_unless_asked() {
    assert_eq!(how(Some(found(OLD, None, "inactive")), Choices::default()), How::Stage);
    let note = "it is stopped, and stays so: its next start boots this generation";
    assert_eq!(plan_for(Some(found(OLD, None, "inactive")), Choices::default()).notes, [note]);
    assert_eq!(how(Some(found(NEW, None, "inactive")), Choices::default()), How::Keep);
    let start = Choices { start: true, ..Choices::default() };
    assert_eq!(how(Some(found(OLD, None, "inactive")), start), How::Restart);
    assert_eq!(how(Some(found(NEW, None, "inactive")), start), How::Restart);
}

#[test]
fn a_crash_loop_is_mended_by_another_runner() {
    assert_eq!(how(Some(found(OLD, Some(OLD), "activating")), Choices::default()), How::Restart);
    assert_eq!(how(Some(found(NEW, Some(NEW), "activating")), Choices::default()), How::Keep);
}

#[test]
fn without_restart_it_is_only_staged() {
    let choices = Choices { no_restart: true, ..Choices::default() };
    let movement = plan_for(Some(found(OLD, Some(OLD), "active")), choices);
    assert_eq!(movement.how, How::Stage);
    assert!(movement.notes[0].contains("the next start, or crash, of this VM boots this generation"));
}

#[test]
fn host_owned_and_locked_are_refused() {
    let mut owned = found(OLD, Some(OLD), "active");
    owned.mode = Mode::HostOwned;
    assert!(matches!(how(Some(owned), Choices::default()), How::Refuse(_)));
    let mut locked = found(OLD, Some(OLD), "active");
    locked.locked = Some("alice@laptop since noon".to_owned());
    assert!(
        matches!(how(Some(locked), Choices::default()), How::Refuse(why) if why.contains("alice@laptop"))
    );
}

#[test]
fn what_runs_unnumbered_is_adopted_first() {
    let movement = plan_for(Some(found(OLD, Some(OLD), "active")), Choices::default());
    assert_eq!(movement.adopt, [("booted".to_owned(), OLD.parse().unwrap())]);
    assert_eq!(movement.from, Some(OLD.parse().unwrap()));
}

#[test]
fn no_room_is_seen_before_copying() {
    let vm: VmName = "vm1".parse().unwrap();
    let wish = Wish {
        vm,
        runner: NEW.parse().unwrap(),
        wanted: None,
        settings: VmSettings::default(),
        checks: Vec::new(),
        flake: None,
        behind: None,
    };
    let closure = Closure { paths: [(NEW.parse().unwrap(), 500 << 20)].into() };
    let mut observed = Observed::default();
    observed.host.store_free = 100 << 20;
    observed.host.state_free = u64::MAX;
    let closures = [(NEW.parse().unwrap(), closure)].into();
    let plan = decide("hv", &[wish], &observed, &closures, Choices::default());
    assert!(plan.impossible[0].contains("100 MiB free"), "{:?}", plan.impossible);
}

#[test]
fn says_what_will_not_return_after_a_reboot() {
    let notes = |autostart, to| {
        let found = Found { autostart, ..found(to, Some(to), "active") };
        plan_for(Some(found), Choices::default()).notes
    };
    assert_eq!(notes(false, OLD), ["the hypervisor does not start it at boot"]);
    assert_eq!(notes(true, OLD), [""; 0]);
    assert_eq!(notes(false, NEW), [""; 0], "nothing is to be done");
    let note = "the hypervisor will not start it at boot: for that, add \"vm1\" to microvm.autostart in its configuration";
    assert_eq!(plan_for_new(&["vm2"]).notes, [note]);
    assert_eq!(plan_for_new(&["vm1"]).notes, [""; 0]);
}
