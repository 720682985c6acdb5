//! What can be said of a VM without asking its guest: whether its process stands and its
//! taps are where they belong. Pure: it is all in what one look found.

use crate::model::check::{CheckResult, From};
use crate::model::observed::{Found, HostFacts};

/// Seconds that the main process still has to live before it counts as settled.
pub fn unsettled(found: &Found, settle: u32) -> u64 {
    u64::from(settle).saturating_sub(found.unit.age.unwrap_or_default())
}

/// The check `unit`: the main process has lived for the settle time, and it is what was
/// booted.
pub fn unit(found: &Found, settle: u32) -> CheckResult {
    let note = if !found.is_running() {
        Some("not-running")
    } else if unsettled(found, settle) > 0 {
        Some("restarting")
    } else if found.running.is_some() && found.running != found.booted_path() {
        Some("other-runner-runs")
    } else {
        None
    };
    result("unit", note.map(str::to_owned))
}

/// The check `taps`: every tap is there, and those of `bridged` belong to a bridge.
/// `None` for a VM without taps.
pub fn taps(taps: &[String], bridged: &[String], host: &HostFacts) -> Option<CheckResult> {
    if taps.is_empty() {
        return None;
    }
    let wrong = taps.iter().find_map(|tap| match host.devices.get(tap) {
        None => Some(format!("{tap}-missing")),
        Some(None) if bridged.contains(tap) => Some(format!("{tap}-in-no-bridge")),
        Some(_) => None,
    });
    Some(result("taps", wrong))
}

fn result(name: &str, note: Option<String>) -> CheckResult {
    let ok = note.is_none();
    CheckResult { name: name.to_owned(), from: From::Hypervisor, ok, millis: Some(0), note, definition: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_must_be_there_and_in_its_bridge() {
        let mut host = HostFacts::default();
        host.devices.insert("a".to_owned(), Some("br".to_owned()));
        host.devices.insert("b".to_owned(), None);
        let names = |text: &str| text.split(' ').filter(|t| !t.is_empty()).map(str::to_owned).collect();
        let note = |all: &str, bridged: &str| {
            let (all, bridged): (Vec<String>, Vec<String>) = (names(all), names(bridged));
            taps(&all, &bridged, &host).map(|check| (check.ok, check.note.unwrap_or_default()))
        };
        assert_eq!(note("", ""), None);
        assert_eq!(note("a b", "a"), Some((true, String::new())));
        assert_eq!(note("a b", "a b"), Some((false, "b-in-no-bridge".to_owned())));
        assert_eq!(note("a c", ""), Some((false, "c-missing".to_owned())));
    }
}
