//! Takes the answer of `doctor.sh` apart: fields, key and value in turn.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::runner;
use crate::error::clean_line;
use crate::model::exam::{Device, DeviceKind, Disk, HostExam, Kvm, LedgerExam, LoginExam, VmExam};
use crate::model::ledger::Entry;
use crate::model::name::VmName;

/// How much of the ledger's end the script sends, in bytes.
const LEDGER_END: u64 = 65536;

type Values = Vec<(String, String)>;

/// What the login finds. `noise` is what its shell printed before.
pub fn login(fields: &[String], noise: &str) -> LoginExam {
    let values = pairs(fields);
    LoginExam {
        noise: noise.to_owned(),
        // One line for each of the two programs.
        nix: get(&values, "login_nix").lines().count() == 2,
        path: get(&values, "login_path").to_owned(),
        root: get(&values, "login_uid") == "0",
        socket: get(&values, "socket") == "yes",
    }
}

/// Everything that needs root. `asked` and `answered` are our clock before and after, in
/// Unix seconds.
pub fn host(fields: &[String], asked: u64, answered: u64) -> HostExam {
    let mut of_host: Values = Vec::new();
    let mut of_vms: Vec<(VmName, Values)> = Vec::new();
    let mut nobody = false;
    for (key, value) in pairs(fields) {
        if key == "vm" {
            let name = value.parse();
            nobody = name.is_err();
            of_vms.extend(name.ok().map(|name| (name, Vec::new())));
        } else if key == "lost" || of_vms.is_empty() && !nobody {
            of_host.push((key, value));
        } else if let (false, Some((_, values))) = (nobody, of_vms.last_mut()) {
            values.push((key, value));
        }
    }
    let words = |key| get(&of_host, key).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let templates = units(get(&of_host, "templates"));
    let services = units(get(&of_host, "services"));
    let writer = templates.get("microvm-set-booted@deployvm-doctor.service");
    let networkd = services.get("systemd-networkd.service");
    let socket = services.get("nix-daemon.socket").filter(|unit| is_there(unit));
    let addresses = addresses(get(&of_host, "addresses"));
    HostExam {
        clock_ahead: get(&of_host, "now").parse().ok().map(|now| ahead(now, asked, answered)),
        // Which versions are too old is not for text to say.
        old_nix: None,
        nixos: get(&of_host, "nixos") == "yes",
        microvm: get(&of_host, "microvm") == "yes",
        features: words("features"),
        lacks: all(&of_host, "lacks").map(str::to_owned).collect(),
        disks: all(&of_host, "disk").filter_map(disk).collect(),
        read_only: all(&of_host, "read_only").next().map(str::to_owned),
        has_units: templates.get("microvm@deployvm-doctor.service").is_some_and(is_there),
        writer: writer.and_then(|unit| {
            let user = unit.get("User").filter(|user| !user.is_empty())?;
            Some(((*user).to_owned(), unit.get("Group").map(|group| (*group).to_owned()).unwrap_or_default()))
        }),
        networkd: networkd.is_some_and(|unit| unit.get("ActiveState") == Some(&"active")),
        daemon_socket: socket.and_then(|unit| unit.get("ActiveState")).map(|state| (*state).to_owned()),
        failed: words("failed"),
        guards: words("guards"),
        starts_vms: !words("at_boot").is_empty(),
        installs: all(&of_host, "install")
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(vm, how)| Some((vm.parse().ok()?, how == "once")))
            .collect(),
        kvm: kvm(get(&of_host, "kvm")),
        devices: all(&of_host, "device").filter_map(|line| device(line, &addresses)).collect(),
        forwards: get(&of_host, "forwarding").trim() != "0",
        roots_left: [words("roots_old"), words("roots_ended")].concat(),
        ledger: ledger(get(&of_host, "ledger"), get(&of_host, "ledger_end")),
        state_directory: all(&of_host, "state_directory").next().map(str::to_owned),
        lost: words("lost"),
        vms: of_vms.into_iter().map(|(name, values)| (name, vm(&values))).collect(),
    }
}

fn pairs(fields: &[String]) -> Values {
    fields.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
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

/// Seconds between their clock and ours, not counting what the answer took.
fn ahead(now: u64, asked: u64, answered: u64) -> i64 {
    let (now, asked, answered) = (i64::try_from(now), i64::try_from(asked), i64::try_from(answered));
    match (now, asked, answered) {
        (Ok(now), Ok(asked), _) if now < asked => now - asked,
        (Ok(now), _, Ok(answered)) if now > answered => now - answered,
        _ => 0,
    }
}

/// Blocks of `systemctl show`, by id.
fn units(text: &str) -> BTreeMap<&str, BTreeMap<&str, &str>> {
    let blocks = text.split("\n\n");
    let units = blocks.map(|block| block.lines().filter_map(|line| line.split_once('=')).collect());
    units.filter_map(|unit: BTreeMap<&str, &str>| Some((*unit.get("Id")?, unit))).collect()
}

fn is_there(unit: &BTreeMap<&str, &str>) -> bool {
    unit.get("LoadState") == Some(&"loaded")
}

/// `/nix/store 5f1a 4096 100 50 1000 900 ext2/ext3`
fn disk(line: &str) -> Option<Disk> {
    let mut words = line.splitn(8, ' ');
    let (place, id) = (words.next()?, words.next()?);
    let mut number = || words.next()?.parse::<u64>().ok();
    let (size, blocks, free, inodes, inodes_free) = (number()?, number()?, number()?, number()?, number()?);
    Some(Disk {
        place: place.to_owned(),
        id: id.to_owned(),
        kind: words.next()?.to_owned(),
        total: size.saturating_mul(blocks),
        free: size.saturating_mul(free),
        inodes,
        inodes_free,
    })
}

fn kvm(text: &str) -> Kvm {
    match text.split_once(' ') {
        _ if text == "missing" => Kvm::Missing,
        Some(("denied", owner)) => Kvm::Denied(owner.to_owned()),
        _ if text.starts_with("denied") => Kvm::Denied(String::new()),
        _ => Kvm::Usable,
    }
}

/// `br-a 10.1.0.1/24`, a line each.
fn addresses(text: &str) -> BTreeMap<&str, Vec<(IpAddr, u8)>> {
    let mut all: BTreeMap<&str, Vec<(IpAddr, u8)>> = BTreeMap::new();
    for (device, network) in text.lines().filter_map(|line| line.split_once(' ')) {
        // Of a tunnel it is the other end, which has no prefix.
        let (address, length) = network.split_once('/').unwrap_or((network, "128"));
        if let (Ok(address), Ok(length)) = (address.parse(), length.parse()) {
            all.entry(device).or_default().push((address, length));
        }
    }
    all
}

/// `vm-a 0x1003 tap br-a`
fn device(line: &str, addresses: &BTreeMap<&str, Vec<(IpAddr, u8)>>) -> Option<(String, Device)> {
    let mut words = line.split(' ');
    let (name, flags, kind) = (words.next()?, words.next()?, words.next()?);
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()?;
    let kind = match kind {
        "tap" => DeviceKind::Tap,
        "bridge" => DeviceKind::Bridge,
        _ => DeviceKind::Other,
    };
    let bridge = words.next().filter(|master| !master.is_empty()).map(str::to_owned);
    let addresses = addresses.get(name).cloned().unwrap_or_default();
    let device = Device { kind, up: flags & 1 == 1, bridge, addresses };
    Some((name.to_owned(), device))
}

/// `file SIZE 1`: 1 where the last line is whole.
fn ledger(what: &str, end: &str) -> LedgerExam {
    let (kind, rest) = what.split_once(' ').unwrap_or((what, ""));
    match kind {
        "" => return LedgerExam::None,
        "file" => {}
        "link" => return LedgerExam::Odd(format!("a link to {}", clean_line(rest))),
        _ => return LedgerExam::Odd(clean_line(rest)),
    }
    let mut numbers = rest.split(' ').map(str::parse::<u64>);
    let (size, whole) = (numbers.next(), numbers.next());
    let mut lines: Vec<&str> = end.lines().collect();
    // Where only the end was sent, its first line is half of one.
    if matches!(size, Some(Ok(size)) if size > LEDGER_END) && !lines.is_empty() {
        lines.remove(0);
    }
    let torn = (whole != Some(Ok(1))).then(|| lines.pop()).flatten();
    let senseless = lines.into_iter().filter(|line| serde_json::from_str::<Entry>(line).is_err());
    let bad: Vec<&str> = senseless.chain(torn).collect();
    LedgerExam::Lines { bad: bad.len(), first: bad.first().map(|line| clean_line(line)).unwrap_or_default() }
}

fn vm(values: &Values) -> VmExam {
    let (kind, run) = (get(values, "kind"), get(values, "run"));
    VmExam {
        owner: get(values, "owner").to_owned(),
        writable: get(values, "writable") == "yes",
        ends_at: get(values, "ends_at").parse().ok(),
        toplevel: text(values, "toplevel"),
        system: text(values, "system"),
        root_current: text(values, "root_current"),
        root_booted: text(values, "root_booted"),
        flake_there: get(values, "flake_there") == "yes",
        kind: kind.trim().to_owned(),
        taps: runner::taps(get(values, "taps"), run),
        booted_taps: runner::taps(get(values, "booted_taps"), ""),
        macs: runner::macs(run),
        cid: runner::cid(get(values, "cid"), run),
        wants_kvm: runner::wants_kvm(kind, run),
    }
}

#[cfg(test)]
#[path = "exam_tests.rs"]
mod tests;
