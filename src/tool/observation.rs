//! Takes the answer of `observe.sh` apart: fields, key and value in turn.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::error::last_lines;
use crate::model::ledger::Entry;
use crate::model::name::{HOST, VmName};
use crate::model::observed::{Found, HostFacts, Mode, Observed, OpenTransaction, Unheard, Unit};
use crate::model::store_path::StorePath;
use crate::tool::events::parse_outcome;
use crate::tool::nix::closure::parse_listing;
use crate::tool::systemd::parse_units;

/// What belongs to one VM, as text.
type Values = Vec<(String, String)>;

/// What the fields are about that come now.
enum Of {
    Host,
    Vm,
    Nobody,
}

/// Parses the fields of one look. What makes no sense is left out; a VM that is
/// missing here is one whose state cannot be told.
pub fn parse(fields: &[String]) -> Observed {
    let mut host: Values = Vec::new();
    let mut vms: Vec<(VmName, Values)> = Vec::new();
    let mut observed = Observed::default();
    let mut fields = fields.iter();
    let mut of = Of::Host;
    while let (Some(key), Some(value)) = (fields.next(), fields.next()) {
        match key.as_str() {
            "vm" => match value.parse() {
                Ok(name) => {
                    vms.push((name, Vec::new()));
                    of = Of::Vm;
                }
                // What follows is about nobody that we know: not about the one before.
                Err(_) => {
                    observed.odd_names.push(value.clone());
                    of = Of::Nobody;
                }
            },
            "odd" => observed.odd_names.push(value.clone()),
            "linked" => observed.linked.extend(value.parse::<VmName>().ok()),
            "invalid" | "transaction" | "ended" | "ledger" => {
                of = Of::Host;
                host.push((key.clone(), value.clone()));
            }
            "closure" => {
                let listing = fields.next().map(String::as_str).unwrap_or_default();
                let closure = parse_listing(listing);
                if let (Ok(path), false) = (value.parse(), closure.paths.is_empty()) {
                    observed.closures.insert(path, closure);
                }
            }
            _ => match (&of, vms.last_mut()) {
                (Of::Vm, Some((_, values))) => values.push((key.clone(), value.clone())),
                (Of::Nobody, _) => {}
                _ => host.push((key.clone(), value.clone())),
            },
        }
    }
    observed.host = host_facts(&host);
    let uptime = get(&host, "uptime").parse().unwrap_or_default();
    let units = parse_units(get(&host, "units"), uptime);
    let invalid: Vec<&str> = get(&host, "invalid").lines().collect();
    let named = |unit: &str| unit.strip_prefix("microvm@")?.strip_suffix(".service")?.parse().ok();
    observed.autostart = get(&host, "autostart").split_whitespace().filter_map(named).collect();
    observed.open = all(&host, "transaction").filter_map(open_transaction).collect();
    observed.unheard = all(&host, "ended").filter_map(unheard).collect();
    observed.unheard.sort_by(|a, b| a.id.cmp(&b.id));
    observed.ledger = parse_ledger(get(&host, "ledger"));
    for (name, values) in vms {
        let unit = units.get(&name).cloned().unwrap_or_default();
        let starts = observed.autostart.contains(&name);
        let found = found(&values, unit, starts, &invalid);
        observed.vms.insert(name, found);
    }
    observed
}

/// Parses ledger lines; a torn or foreign line is passed over.
pub fn parse_ledger(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_entry).collect()
}

fn parse_entry(line: &str) -> Option<Entry> {
    let mut entry: Entry = serde_json::from_str(line).ok()?;
    let console = entry.console_base64.take().and_then(|text| BASE64_STANDARD.decode(text).ok());
    if let Some(console) = console {
        entry.console = last_lines(&String::from_utf8_lossy(&console), 30);
    }
    Some(entry)
}

fn get<'a>(values: &'a Values, key: &str) -> &'a str {
    values.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).unwrap_or_default()
}

fn all<'a>(values: &'a Values, key: &'a str) -> impl Iterator<Item = &'a str> {
    values.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
}

fn text(values: &Values, key: &str) -> Option<String> {
    Some(get(values, key)).filter(|v| !v.is_empty()).map(str::to_owned)
}

fn host_facts(host: &Values) -> HostFacts {
    let kib = |key| get(host, key).parse::<u64>().unwrap_or_default();
    let devices = all(host, "device").filter_map(|line| {
        let (name, master) = line.split_once(' ')?;
        Some((name.to_owned(), Some(master.to_owned()).filter(|m| !m.is_empty())))
    });
    HostFacts {
        name: get(host, "host").to_owned(),
        system: match get(host, "machine") {
            "" => String::new(),
            "arm64" => "aarch64-linux".to_owned(),
            machine => format!("{machine}-linux"),
        },
        nix: text(host, "nix"),
        systemd: get(host, "systemd")
            .split_whitespace()
            .nth(1)
            .and_then(|v| v.parse().ok())
            .unwrap_or_default(),
        store_free: kib("store_free").saturating_mul(1024),
        state_free: kib("state_free").saturating_mul(1024),
        memory_available_kib: kib("memory"),
        bridges: all(host, "bridge").map(str::to_owned).collect(),
        devices: devices.collect::<BTreeMap<_, _>>(),
        missing: get(host, "missing").split_whitespace().map(str::to_owned).collect(),
    }
}

fn open_transaction(line: &str) -> Option<OpenTransaction> {
    let mut words = line.split(' ');
    let id = words.next()?.to_owned();
    let alive = words.next()? == "yes";
    Some(OpenTransaction { id, alive, vm: words.next()?.to_owned() })
}

fn unheard(text: &str) -> Option<Unheard> {
    let mut parts = text.splitn(4, '\n');
    let mut part = || parts.next().map(str::to_owned);
    let (id, vm, holder) = (part()?, part()?, part()?);
    if vm != HOST && vm.parse::<VmName>().is_err() {
        return None;
    }
    let recorded = parse_outcome(&part()?)?;
    let reason = if recorded.exit == 0 { String::new() } else { recorded.reason };
    let holder = last_lines(&holder, 1).concat();
    Some(Unheard { id, vm, holder, result: recorded.result, exit: recorded.exit, reason })
}

fn found(values: &Values, unit: Unit, autostart: bool, invalid: &[&str]) -> Found {
    let (current, booted) = (text(values, "current"), text(values, "booted"));
    let valid = |path: &Option<String>| match path {
        Some(path) => path.parse::<StorePath>().is_ok() && !invalid.contains(&path.as_str()),
        None => false,
    };
    let mut generations: Vec<(u64, u64, StorePath)> =
        all(values, "generation").filter_map(generation).collect();
    generations.sort();
    // A number is one generation's; of what says otherwise the oldest is believed.
    generations.dedup_by_key(|g| g.0);
    let profile = get(values, "profile").strip_suffix("-link").and_then(|p| p.rsplit_once('-'));
    let mut pins: Vec<u64> = all(values, "pin").filter_map(|p| p.parse().ok()).collect();
    pins.sort_unstable();
    pins.dedup();
    Found {
        flake: text(values, "flake").map(|f| f.trim().to_owned()),
        mode: match get(values, "mode") {
            "host-owned" => Mode::HostOwned,
            "update-flake" => Mode::UpdateFlake,
            _ => Mode::Imperative,
        },
        autostart,
        running: running(values, &unit),
        current_valid: valid(&current),
        booted_valid: valid(&booted),
        generation: profile.and_then(|(_, n)| n.parse().ok()),
        generation_times: generations.iter().map(|g| g.1).collect(),
        generations: generations.into_iter().map(|(n, _, path)| (n, path)).collect(),
        pins,
        locked: values.iter().find(|(k, _)| k == "locked").map(|(_, v)| v.trim().to_owned()),
        mem: memory(get(values, "cmdline")),
        current,
        booted,
        unit,
    }
}

fn generation(line: &str) -> Option<(u64, u64, StorePath)> {
    let mut words = line.splitn(3, ' ');
    let number = words.next()?.parse().ok()?;
    let time = words.next()?.parse().ok()?;
    Some((number, time, words.next()?.parse().ok()?))
}

/// Which runner the main process is: the record of the transaction that started it,
/// while process, invocation and start time all match; otherwise the runner whose
/// `microvm-run` has every store path and the memory, vcpu and tap arguments of the
/// process; otherwise nobody can tell.
fn running(values: &Values, unit: &Unit) -> Option<StorePath> {
    let pid = unit.main_pid.filter(|_| unit.active == "active")?;
    let (process, ticks) = get(values, "process").split_once(' ')?;
    let record: Vec<&str> = get(values, "record").split_whitespace().collect();
    if let [runner, recorded_pid, invocation, recorded_ticks] = record[..] {
        let same = recorded_pid == process && process == pid.to_string();
        if same && invocation == unit.invocation && recorded_ticks == ticks {
            return runner.parse().ok();
        }
    }
    let arguments: Vec<&str> = get(values, "cmdline").lines().collect();
    let candidates = [("booted", "run_booted"), ("current", "run_current")];
    let matching = candidates.iter().filter(|(_, script)| explains(get(values, script), &arguments));
    let paths: Vec<&str> = matching.map(|(link, _)| get(values, link)).collect();
    match paths[..] {
        // Both explain it equally well: only `booted` was started by systemd.
        [first, ..] => first.parse().ok(),
        [] => None,
    }
}

/// Whether this `microvm-run` could have become a process with these arguments.
fn explains(script: &str, arguments: &[&str]) -> bool {
    let words: Vec<&str> = script.split(|c: char| c.is_whitespace() || "'\"".contains(c)).collect();
    let paths: Vec<&str> = arguments.iter().flat_map(|a| store_paths(a)).collect();
    let telling = |a: &&&str| a.contains("ifname=") || a.contains("tap=") || is_memory_or_cpu(arguments, a);
    !paths.is_empty()
        && paths.iter().all(|p| script.contains(p))
        && arguments.iter().filter(telling).all(|a| words.contains(a))
}

/// Whether an argument follows `-m`, `-smp`, `--memory` or `--cpus`.
fn is_memory_or_cpu(arguments: &[&str], argument: &&&str) -> bool {
    arguments.windows(2).any(|pair| match pair {
        [flag, value] => matches!(*flag, "-m" | "-smp" | "--memory" | "--cpus") && value == *argument,
        _ => false,
    })
}

fn store_paths(text: &str) -> Vec<&str> {
    text.match_indices("/nix/store/")
        .filter_map(|(start, _)| {
            let rest = text.get(start..)?;
            let name = rest.get("/nix/store/".len()..)?;
            let end = name
                .find(|c: char| !c.is_ascii_alphanumeric() && !"+-._?=".contains(c))
                .unwrap_or(name.len());
            rest.get(..end + "/nix/store/".len())
        })
        .collect()
}

/// MiB of a QEMU command line (`-m 96`, `-m 512M`), if it says so.
fn memory(cmdline: &str) -> Option<u64> {
    let arguments: Vec<&str> = cmdline.lines().collect();
    let value = arguments.windows(2).find_map(|pair| match pair {
        ["-m", value] => Some(*value),
        _ => None,
    })?;
    let value = value.split(',').next()?.trim_start_matches("size=");
    if let Some(gib) = value.strip_suffix('G') {
        return gib.parse::<u64>().ok().map(|g| g.saturating_mul(1024));
    }
    value.strip_suffix('M').unwrap_or(value).parse().ok()
}

#[cfg(test)]
#[path = "observation_tests.rs"]
mod tests;
