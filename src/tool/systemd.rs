//! What `systemctl` prints.

use std::collections::BTreeMap;

use crate::model::name::VmName;
use crate::model::observed::Unit;

/// Parses `systemctl show` of several `microvm@NAME.service` units: blocks of
/// `Key=Value` with an empty line between. `uptime` is the machine's, in seconds.
pub fn parse_units(text: &str, uptime: f64) -> BTreeMap<VmName, Unit> {
    text.split("\n\n").filter_map(|block| parse_unit(block, uptime)).collect()
}

fn parse_unit(block: &str, uptime: f64) -> Option<(VmName, Unit)> {
    let values: BTreeMap<&str, &str> = block.lines().filter_map(|l| l.split_once('=')).collect();
    let value = |key: &str| values.get(key).copied().unwrap_or_default();
    let name = value("Id").strip_prefix("microvm@")?.strip_suffix(".service")?;
    let main_pid = value("MainPID").parse().ok().filter(|pid| *pid > 0);
    let started = value("ExecMainStartTimestampMonotonic").parse::<f64>().unwrap_or_default() / 1e6;
    let age = (uptime - started).max(0.0);
    Some((
        name.parse().ok()?,
        Unit {
            active: value("ActiveState").to_owned(),
            sub: value("SubState").to_owned(),
            main_pid,
            restarts: value("NRestarts").parse().unwrap_or_default(),
            invocation: value("InvocationID").to_owned(),
            // Saturates; a negative age was ruled out above.
            age: main_pid.filter(|_| started > 0.0).map(|_| age as u64),
            stop_timeout: parse_span(value("TimeoutStopUSec")),
        },
    ))
}

/// A time span as systemd prints it (`1min 30s`, `2.500s`, `infinity`), in whole
/// seconds, rounded up; 90, systemd's default, when it has no end or cannot be read.
pub fn parse_span(text: &str) -> u64 {
    let mut seconds = 0.0;
    for word in text.split_whitespace() {
        let digits = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
        let (number, unit) = word.split_at(digits);
        let Ok(number) = number.parse::<f64>() else { return 90 };
        seconds += number
            * match unit {
                "us" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "min" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return 90,
            };
    }
    let whole = seconds.ceil() as u64;
    if whole == 0 { 90 } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHOW: &str = "MainPID=4242\nNRestarts=1\nExecMainStartTimestampMonotonic=100000000\n\
        TimeoutStopUSec=2min 30s\nId=microvm@vm1.service\nActiveState=active\nSubState=running\nInvocationID=abc\n\n\
        MainPID=0\nNRestarts=0\nExecMainStartTimestampMonotonic=0\nTimeoutStopUSec=infinity\n\
        Id=microvm@my.vm.service\nActiveState=inactive\nSubState=dead\nInvocationID=\n";

    #[test]
    fn reads_several_units() {
        let units = parse_units(SHOW, 160.5);
        let vm1 = &units[&"vm1".parse().unwrap()];
        assert_eq!((vm1.main_pid, vm1.age, vm1.stop_timeout, vm1.restarts), (Some(4242), Some(60), 150, 1));
        let other = &units[&"my.vm".parse().unwrap()];
        assert_eq!((other.main_pid, other.age, other.stop_timeout), (None, None, 90));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s:.){0,60}") {
            let _ = parse_units(&text, 1.0);
            prop_assert!(parse_span(&text) > 0);
        }
    }
}
