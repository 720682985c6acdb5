//! Probes from this machine and from inside a guest: the same `probe.sh` that the
//! hypervisor runs, so that a check means the same everywhere.

use std::time::Duration;

pub use super::guest::{Way, vsock_program, way};
use super::process::Limits;
use super::script::{self, NEEDS, Reply};
use super::{Host, guest, process};
use crate::error::Result;
use crate::model::argv::Output;
use crate::model::check::{Check, Expect, From, Probe};

const PROBE: &str = include_str!("scripts/probe.sh");
const THRICE: &str = include_str!("scripts/thrice.sh");

/// Nobody waits longer for one answer: `exec` takes at most 10 s, what must be refused
/// thrice at most 18 s, and a way into a guest about 10 s.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Words of `probe.sh`, but for `no-PROGRAM` and those of [`NUMBERED`].
const WORDS: [&str; 9] = [
    "ok",
    "refused",
    "timeout",
    "unreachable",
    "wrong-body",
    "no-reply",
    "bad-reply",
    "unresolved",
    "broken",
];

/// Those that end in a number: the status of an answer, the exit code of a program.
const NUMBERED: [&str; 2] = ["wrong-status-", "nonzero-"];

/// Asks from where the check is to run: once, or, for what must be refused, thrice over
/// three seconds. The answer is one of the words of `probe.sh`, or, where it could not
/// even be started, of [`guest::trouble`].
pub async fn ask(check: &Check, way: &Way) -> String {
    let scripts = match check.expect {
        Expect::Ok => [PROBE, "probe"],
        Expect::Refused => [THRICE, PROBE],
    };
    let mut input = Vec::new();
    for value in scripts.into_iter().chain(words(&check.probe).iter().map(String::as_str)) {
        input.extend_from_slice(value.as_bytes());
        input.push(0);
    }
    let argv = match check.from {
        From::Vm => way.command().map(|command| command.stdin(input)),
        From::Hypervisor => Some(way.hypervisor.clone().stdin(input)),
        From::Laptop => Some(script::here(&input)),
    };
    let Some(argv) = argv else { return "no-way-in".to_owned() };
    // Words, and whatever a login shell says before them.
    let limits = Limits { bytes: 1 << 20, whole: Some(LONGEST), silence: LONGEST };
    match process::answer(&argv, limits, |_| true).await {
        Ok(output) => answer(check.from, &output),
        Err(_) => if check.from == From::Vm { "ssh-unreachable" } else { "broken" }.to_owned(),
    }
}

/// The word that `probe.sh` said last, if it ran to its end.
fn answer(from: From, output: &Output) -> String {
    let text = output.text();
    let said = text.lines().last().unwrap_or_default();
    match output.code {
        Some(0) if is_word(said) => said.to_owned(),
        _ if from == From::Vm => guest::trouble(output).to_owned(),
        _ => "broken".to_owned(),
    }
}

/// Whether `probe.sh` says such a word.
fn is_word(said: &str) -> bool {
    let is_number = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let is_name = |text: &str| text.len() <= 40 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    WORDS.contains(&said)
        || NUMBERED.iter().any(|word| said.strip_prefix(word).is_some_and(is_number))
        || said.strip_prefix("no-").is_some_and(is_name)
}

/// Whether the question was asked when this word was found: otherwise the word says
/// nothing about what was to be asked.
pub fn was_asked(probe: &Probe, found: &str) -> bool {
    match found {
        "ok" | "no-reply" => true,
        // To ask a resolver is the whole question there.
        "unresolved" => matches!(probe, Probe::Dns { .. }),
        "broken" => false,
        other => !["no-", "ssh-", "host-key-"].iter().any(|begins| other.starts_with(begins)),
    }
}

/// For each check, the program that it needs and the place lacks.
///
/// # Errors
/// Exit 11 when the place cannot be asked.
pub async fn missing(place: &Host, checks: &[&Check]) -> Result<Vec<Option<String>>> {
    Ok(lacks(&place.script(NEEDS, &needs(checks)).await?))
}

/// The same inside a guest.
///
/// # Errors
/// One word for why nobody gets in.
pub async fn missing_inside(
    way: &Way,
    checks: &[&Check],
) -> std::result::Result<Vec<Option<String>>, &'static str> {
    match tokio::time::timeout(LONGEST, way.script(NEEDS, &needs(checks))).await {
        Ok(reply) => Ok(lacks(&reply?)),
        Err(_) => Err("ssh-unreachable"),
    }
}

fn needs(checks: &[&Check]) -> Vec<String> {
    let pair = |check: &&Check| {
        let program = match &check.probe {
            Probe::Exec { argv } => argv.first().cloned().unwrap_or_default(),
            _ => String::new(),
        };
        let [kind, ..] = words(&check.probe);
        [kind, program]
    };
    checks.iter().flat_map(pair).collect()
}

fn lacks(reply: &Reply) -> Vec<Option<String>> {
    reply.fields.iter().map(|field| Some(field.clone()).filter(|f| !f.is_empty())).collect()
}

/// A probe as the words that `probe.sh` takes: kind, target, port, status, body.
pub fn words(probe: &Probe) -> [String; 5] {
    let none = String::new;
    match probe {
        Probe::Http { url, status, body } => [
            "http".to_owned(),
            url.clone(),
            none(),
            status.map(|s| s.to_string()).unwrap_or_default(),
            body.clone().unwrap_or_default(),
        ],
        Probe::Tcp { host, port } => ["tcp".to_owned(), host.clone(), port.to_string(), none(), none()],
        Probe::Ping { host } => ["ping".to_owned(), host.clone(), none(), none(), none()],
        Probe::Dns { name } => ["dns".to_owned(), name.clone(), none(), none(), none()],
        // The dot at the end keeps empty arguments from getting lost on the way.
        Probe::Exec { argv } => {
            ["exec".to_owned(), format!("{}\n.", argv.join("\n")), none(), none(), none()]
        }
    }
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
