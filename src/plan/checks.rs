//! Which checks a microVM has: those that follow from its own configuration and
//! those that are declared (interface.md, Checks). A check that cannot run where it
//! was declared is refused here, before anything is touched; none is ever skipped.

use super::conflicts::is_of_the_network;
use crate::error::{Failure, Result};
use crate::model::check::{Check, Declared, Expect, From, Probe};
use crate::model::inventory::Wanted;
use crate::model::name::Word;
use crate::model::settings::{Via, VmSettings};

/// Names of derived checks, which no declared one may have.
const DERIVED: [&str; 2] = ["ping", "ssh"];

/// The checks of a VM, derived ones first, those that expect a refusal last.
/// `settings` are the VM's own, merged with all layers.
///
/// # Errors
/// When a declared check is not valid or cannot run where it was declared (exit 2).
pub fn checks(vm: &Wanted, settings: &VmSettings) -> Result<Vec<Check>> {
    let mut checks = derived(vm, settings);
    for (name, declared) in settings.checks.iter().flatten() {
        let declared = one(vm, settings, name, declared);
        checks.extend(declared.map_err(|failure| Failure {
            message: format!("check {name:?} of {}: {}", vm.name, failure.message),
            ..failure
        })?);
    }
    checks.sort_by_key(|check| check.expect == Expect::Refused);
    Ok(checks)
}

/// Where the guest answers: the address that the settings give, or else the first that
/// its configuration declares and that means one machine on a network.
pub fn guest_address(vm: Option<&Wanted>, settings: &VmSettings) -> Option<String> {
    let declared = || vm?.addresses.iter().find(|a| is_of_the_network(a)).map(ToString::to_string);
    settings.address.clone().or_else(declared)
}

fn derived(vm: &Wanted, settings: &VmSettings) -> Vec<Check> {
    let check = |name: String, probe| Check {
        name,
        from: From::Hypervisor,
        probe,
        expect: Expect::Ok,
        within: settings.deadlines().within,
        strict: false,
        derived: true,
        excusable: false,
    };
    let Some(host) = guest_address(Some(vm), settings) else { return Vec::new() };
    let mut checks = vec![check("ping".to_owned(), Probe::Ping { host: host.clone() })];
    if vm.sshd {
        let guest = settings.guest.as_ref().filter(|guest| guest.via != Some(Via::Vsock));
        let port = guest.and_then(|guest| guest.port).unwrap_or(22);
        checks.push(check("ssh".to_owned(), Probe::Tcp { host, port }));
    }
    checks
}

fn one(vm: &Wanted, settings: &VmSettings, name: &str, declared: &Declared) -> Result<Vec<Check>> {
    name.parse::<Word>().map_err(|e| Failure::usage(e.to_string()).help("choose another name"))?;
    if DERIVED.contains(&name) {
        return Err(Failure::usage("deployvm derives a check of that name itself")
            .help("choose another name; `ping` and `ssh` are taken"));
    }
    let probe = probe(declared)?;
    let expect = declared.expect.unwrap_or_default();
    if expect == Expect::Refused {
        match &probe {
            Probe::Exec { .. } => {
                return Err(Failure::usage("a program cannot be expected to be refused")
                    .help("expect = \"refused\" is for http, tcp, ping and dns"));
            }
            Probe::Http { status, body, .. } if status.is_some() || body.is_some() => {
                return Err(Failure::usage("a refused request has no status and no body")
                    .help("leave out `status` and `body`, or expect = \"refused\""));
            }
            _ => {}
        }
    }
    let within = declared.within.unwrap_or(settings.deadlines().within);
    if !(1..=3600).contains(&within) {
        return Err(Failure::usage(format!("within is {within}")).help("it must be from 1 to 3600 seconds"));
    }
    let mut places = declared.from.clone().unwrap_or_else(|| vec![From::Hypervisor]);
    places.sort();
    places.dedup();
    if places.is_empty() {
        return Err(Failure::usage("from is empty").help("it must name \"laptop\", \"hypervisor\" or \"vm\""));
    }
    if places.contains(&From::Vm) {
        way_into(vm, settings)?;
    }
    let strict = declared.strict.unwrap_or_default();
    let check = |from| Check {
        name: name.to_owned(),
        from,
        probe: probe.clone(),
        expect,
        within,
        strict,
        derived: false,
        excusable: false,
    };
    Ok(places.into_iter().map(check).collect())
}

/// Refuses a check inside a guest that nobody can get into, as far as its configuration
/// tells; the rest shows when somebody tries (stage/places.rs).
fn way_into(vm: &Wanted, settings: &VmSettings) -> Result<()> {
    let name = &vm.name;
    let no_way = |why: &str, help: String| {
        Err(Failure::usage(format!("it is to run inside the VM, but {why}")).help(help))
    };
    match settings.guest.as_ref().and_then(|guest| guest.via).unwrap_or_default() {
        Via::Vsock => match (vm.cid, vm.hypervisor.as_deref()) {
            (None, _) => no_way(
                "it has no vsock CID, and vsock is the way in",
                format!("set microvm.vsock.cid in the configuration of {name}"),
            ),
            // Their vsock is a Unix socket, which only they themselves understand.
            (_, Some(vmm @ ("cloud-hypervisor" | "firecracker"))) => no_way(
                &format!("{vmm} gives the hypervisor no vsock device to reach it through"),
                format!("set vms.{name}.guest.via to \"hypervisor\" or \"laptop\""),
            ),
            _ => Ok(()),
        },
        Via::Hypervisor | Via::Laptop if guest_address(Some(vm), settings).is_none() => no_way(
            "no address of the VM is known",
            format!("set vms.{name}.address, or vms.{name}.guest.via = \"vsock\""),
        ),
        Via::Hypervisor | Via::Laptop => Ok(()),
    }
}

/// The one probe of a declaration.
fn probe(declared: &Declared) -> Result<Probe> {
    let Declared { http, tcp, ping, dns, exec, status, body, .. } = declared;
    let given: Vec<&str> = [
        ("http", http.is_some()),
        ("tcp", tcp.is_some()),
        ("ping", ping.is_some()),
        ("dns", dns.is_some()),
        ("exec", exec.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, given)| given.then_some(key))
    .collect();
    if given.len() > 1 {
        return Err(Failure::usage(format!("it has more than one probe: {}", given.join(", ")))
            .help("make each one a check of its own"));
    }
    for (key, given) in [("status", status.is_some()), ("body", body.is_some())] {
        if given && http.is_none() {
            return Err(Failure::usage(format!("{key} is only for http")).help(format!("leave out {key}")));
        }
    }
    if let Some(url) = http {
        return http_probe(url, *status, body.as_deref());
    }
    if let Some(target) = tcp {
        let (host, port) = host_and_port(target).ok_or_else(|| {
            Failure::usage(format!("tcp = {target:?} is not a host and a port"))
                .help("write HOST:PORT or [IPV6]:PORT, such as 10.0.0.2:5432")
        })?;
        return Ok(Probe::Tcp { host: self::host("tcp", host)?, port });
    }
    if let Some(target) = ping {
        return Ok(Probe::Ping { host: host("ping", target)? });
    }
    if let Some(name) = dns {
        return Ok(Probe::Dns { name: host("dns", name)? });
    }
    let Some(argv) = exec else {
        return Err(Failure::usage("it has no probe").help("give it one of http, tcp, ping, dns, exec"));
    };
    if argv.first().is_none_or(|program| program.is_empty()) {
        return Err(Failure::usage("exec names no program").help("write exec = [ \"program\" \"argument\" ]"));
    }
    if argv.iter().any(|arg| arg.contains(['\n', '\0'])) {
        return Err(Failure::usage("exec has an argument with a newline or NUL")
            .help("put the script into the guest's configuration and run it by name"));
    }
    Ok(Probe::Exec { argv: argv.clone() })
}

fn http_probe(url: &str, status: Option<u16>, body: Option<&str>) -> Result<Probe> {
    let bad = |why| {
        Failure::usage(format!("http = {url:?} {why}"))
            .help("write it as http://10.0.0.2/ or https://name/path")
    };
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or_else(|| bad("starts with neither http:// nor https://"))?;
    if !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad("has spaces, control or non-ASCII characters"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        // The URL is an argument of curl, and stays in the ledger. Not said again here.
        let message = "http = \"…\" has a user or a password in its URL, where others can read it";
        return Err(Failure::usage(message)
            .help("ask for a page that needs none, or use exec with a program that has its own password"));
    }
    let host = match host_and_port(authority) {
        Some((host, _)) => host,
        None => authority.strip_prefix('[').and_then(|p| p.strip_suffix(']')).unwrap_or(authority),
    };
    if !is_host(host) || (host == authority && host.contains(':')) {
        return Err(bad("has no valid host and port"));
    }
    if let Some(status) = status.filter(|status| !(100..=599).contains(status)) {
        return Err(Failure::usage(format!("status is {status}")).help("it must be from 100 to 599"));
    }
    if let Some(body) = body {
        expression(body)?;
    }
    Ok(Probe::Http { url: url.to_owned(), status, body: body.map(str::to_owned) })
}

/// A regular expression that means the same here and to grep -E on the hypervisor.
fn expression(body: &str) -> Result<()> {
    let bad = |why: String| {
        Failure::usage(format!("body = {body:?} {why}"))
            .help("write a POSIX extended regular expression that one line of the body matches")
    };
    if body.is_empty() || body.contains(['\n', '\0']) {
        return Err(bad("is empty or has a newline or NUL".to_owned()));
    }
    if let Err(error) = regex::Regex::new(body) {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
        return Err(bad(format!("is not a regular expression: {reason}")));
    }
    let unknown = |what: &str| bad(format!("has {what}, which grep -E reads differently"));
    // The expression without escaped characters and bracket expressions.
    let mut plain = String::new();
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c) if c.is_alphanumeric() && !"wWsSbB".contains(c) => {
                    return Err(unknown(&format!("\\{c}")));
                }
                _ => plain.push('x'),
            },
            '[' => {
                let inner: String = bracket(&mut chars);
                if inner.contains('\\') {
                    return Err(unknown("a backslash inside [ ]"));
                }
                plain.push('x');
            }
            c => plain.push(c),
        }
    }
    match ["(?", "*?", "+?", "??", "}?"].iter().find(|perl| plain.contains(**perl)) {
        Some(perl) => Err(unknown(perl)),
        None => Ok(()),
    }
}

/// What is inside a bracket expression: a `]` right at its start belongs to it.
fn bracket(chars: &mut std::str::Chars<'_>) -> String {
    let mut inner = String::new();
    for c in chars.by_ref() {
        if c == ']' && !matches!(inner.as_str(), "" | "^") {
            break;
        }
        inner.push(c);
    }
    inner
}

fn host(key: &str, text: &str) -> Result<String> {
    if is_host(text) {
        return Ok(text.to_owned());
    }
    Err(Failure::usage(format!("{key} = {text:?} is not a host name or IP address"))
        .help("use letters, digits, '.', ':', '-' and '_', and no '-' at the start"))
}

fn is_host(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".:-_".contains(&b);
    !text.is_empty() && text.len() <= 255 && !text.starts_with('-') && text.bytes().all(allowed)
}

/// `HOST:PORT` or `[IPV6]:PORT`.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        // More colons without brackets: nobody can tell where the port begins.
        None if host.contains(':') => return None,
        None => host,
    };
    // parse() also takes a plus sign.
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    Some((host, port.parse().ok().filter(|port| digits && *port > 0)?))
}

#[cfg(test)]
mod tests;
