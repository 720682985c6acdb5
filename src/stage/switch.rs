//! The switch of one microVM, seen from the laptop: writes the transaction, starts it,
//! follows it to its recorded outcome. What happens in between is decided on the
//! hypervisor (`host/scripts/transaction.sh`), whether or not anybody follows.

use serde::Serialize;

use super::Copied;
use crate::error::{Aftermath, Failure, Result};
use crate::host::script::{self, Reply};
use crate::host::{Host, identity, probe};
use crate::model::check::{Check, Expect, From, Probe};
use crate::model::inventory::FlakeFacts;
use crate::model::name::{TransactionId, VmName};
use crate::model::plan::{How, Move};
use crate::model::store_path::StorePath;
use crate::model::terms::Terms;
use crate::tool::events;
pub use crate::tool::events::{Line, Recorded};
use crate::tool::microvm::STATE_DIR;
use crate::tool::system::SYSTEM_PROFILE;

/// What is the same for all switches of one command.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `push`, `rollback`; `host-push`, `host-rollback` for the hypervisor's own system; or `start`, `stop`, `restart`, `retire`, which undo nothing.
    pub verb: &'static str,
    /// `user@host` of the laptop.
    pub who: String,
    /// Where the wish came from.
    pub flake: FlakeFacts,
    /// Leave a VM that fails as it is.
    pub keep_failed: bool,
}

/// A switch that is about to begin or has begun. It knows what was there before.
#[derive(Debug)]
pub struct OnTrial {
    /// The transaction's id.
    pub transaction: TransactionId,
    /// What is being done.
    pub movement: Move,
    /// Whether the hypervisor waits to be told that the laptop's positive checks hold.
    pub agree: bool,
    input: Vec<String>,
    verb: &'static str,
}

/// The constant part of a ledger line; `id` first, the transaction looks for it.
#[derive(Serialize)]
struct Head<'a> {
    id: String,
    schema: u8,
    who: Option<&'a str>,
    verb: &'a str,
    vm: &'a str,
    from: Option<&'a StorePath>,
    to: &'a StorePath,
    revision: Option<&'a str>,
    dirty: Option<bool>,
    fingerprint: Option<&'a str>,
}

impl OnTrial {
    /// Makes a transaction of a move whose closure is on the hypervisor.
    ///
    /// # Errors
    /// A bug, when no id could be made.
    pub fn new(copied: Copied, facts: &Facts) -> Result<Self> {
        let transaction =
            identity::new_id().ok_or_else(|| Failure::bug("could not make a transaction id"))?;
        let movement = copied.movement;
        let mut input = vec![transaction.to_string(), movement.vm.to_string(), facts.verb.to_owned()];
        let mut file = |name: &str, content: String| input.extend([name.to_owned(), content]);
        let parts = match facts.verb {
            "push" | "rollback" => script::SWITCH_PARTS,
            "run" => script::RUN_PARTS,
            "host-push" | "host-rollback" => script::HOST_PARTS,
            _ => script::POWER_PARTS,
        };
        for (name, content) in parts.iter().chain(script::SHARED_PARTS) {
            file(name, (*content).to_owned());
        }
        let (settle, boot) = (movement.deadlines.settle, movement.deadlines.boot);
        let on = |place: From| movement.checks.iter().filter(move |c| c.from == place);
        // The laptop's checks run while the hypervisor's do; their time may come on top.
        let longest = u32::try_from(probe::LONGEST.as_secs()).unwrap_or(u32::MAX);
        let verdict = movement.deadlines.verdict + movement.laptop_seconds(longest);
        // What must be refused is tried last of all: then one waits for the other.
        let agree = movement.expects_elsewhere(Expect::Ok)
            && on(From::Hypervisor).any(|c| c.expect == Expect::Refused);
        let awaited = on(From::Hypervisor).position(|c| c.derived && matches!(c.probe, Probe::Ping { .. }));
        let checks: u32 = on(From::Hypervisor).map(|c| c.within).sum();
        let how = if movement.how == How::Stage { "stage" } else { "restart" };
        for (name, value) in [
            ("vm", movement.vm.to_string()),
            ("id", transaction.to_string()),
            ("verb", facts.verb.to_owned()),
            ("how", how.to_owned()),
            ("to", movement.to.to_string()),
            ("expect", movement.current.clone().unwrap_or_default()),
            ("state_dir", STATE_DIR.to_owned()),
            ("holder", holder(facts, &movement)),
            ("address", movement.address.clone().unwrap_or_default()),
            ("awaited", awaited.map(|index| format!("{index:02}")).unwrap_or_default()),
            ("taps", movement.taps.join("\n")),
            ("routed", movement.routed.join("\n")),
            ("settle", settle.to_string()),
            ("boot", boot.to_string()),
            ("checks", checks.to_string()),
            ("verdict", verdict.to_string()),
            ("agree", if agree { verdict.to_string() } else { String::new() }),
            ("keep_failed", if facts.keep_failed { "yes".to_owned() } else { String::new() }),
            ("flake", movement.flake.clone().unwrap_or_default()),
            ("terms", movement.terms.as_ref().map(Terms::write).unwrap_or_default()),
            ("l_head", head(&transaction, "", &movement, facts)),
        ] {
            file(&format!("p/{name}"), value);
        }
        if let Some(system) = &movement.system {
            let starts: Vec<&str> = system.starts.iter().map(|vm| vm.as_str()).collect();
            file("p/profile", SYSTEM_PROFILE.to_owned());
            file("p/starts", starts.join("\n"));
            file("p/switch", system.seconds.to_string());
        }
        for (what, path) in &movement.adopt {
            file(&format!("p/l_adopt_{what}"), adopted(&transaction, what, path, &movement));
        }
        for (index, check) in on(From::Hypervisor).enumerate() {
            for (name, value) in check_files(check) {
                file(&format!("c/{index:02}/{name}"), value);
            }
        }
        Ok(Self { transaction, movement, agree, input, verb: facts.verb })
    }

    /// The hypervisor-side checks, in the order in which the transaction numbers them.
    pub fn hypervisor_checks(&self) -> Vec<Check> {
        self.movement.checks.iter().filter(|c| c.from == From::Hypervisor).cloned().collect()
    }

    /// The unit that carries it out.
    pub fn unit(&self) -> String {
        format!("deployvm-{}-{}-{}.service", self.verb, self.movement.vm, self.transaction)
    }
}

fn holder(facts: &Facts, movement: &Move) -> String {
    let since = crate::host::clock::rfc3339(crate::host::clock::unix_seconds());
    format!("{} since {since}: {} {}", facts.who, facts.verb, movement.vm)
}

fn head(transaction: &TransactionId, suffix: &str, movement: &Move, facts: &Facts) -> String {
    let flake = movement.made_of.as_ref().unwrap_or(&facts.flake);
    open_object(&Head {
        id: format!("{transaction}{suffix}"),
        schema: 1,
        who: Some(&facts.who),
        verb: facts.verb,
        vm: movement.vm.as_str(),
        from: movement.from.as_ref(),
        to: &movement.to,
        revision: flake.revision.as_deref(),
        dirty: flake.revision.is_some().then_some(flake.dirty),
        fingerprint: Some(flake.fingerprint.as_str()).filter(|f| !f.is_empty()),
    })
}

fn adopted(transaction: &TransactionId, what: &str, path: &StorePath, movement: &Move) -> String {
    open_object(&Head {
        id: format!("{transaction}-{what}"),
        schema: 1,
        who: None,
        verb: "adopt",
        vm: movement.vm.as_str(),
        from: None,
        to: path,
        revision: None,
        dirty: None,
        fingerprint: None,
    })
}

/// JSON without its last brace: the transaction adds the rest.
fn open_object(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.pop();
    text
}

#[derive(Serialize)]
struct CheckHead<'a> {
    name: &'a str,
    from: From,
    definition: String,
}

fn check_files(check: &Check) -> Vec<(&'static str, String)> {
    let [kind, target, port, status, body] = probe::words(&check.probe);
    let json = CheckHead { name: &check.name, from: check.from, definition: check.definition() };
    vec![
        ("kind", kind),
        ("target", target),
        ("port", port),
        ("status", status),
        ("body", body),
        ("expect", if check.expect == Expect::Ok { "ok".to_owned() } else { "refused".to_owned() }),
        ("within", check.within.to_string()),
        ("excusable", if check.excusable { "yes".to_owned() } else { "no".to_owned() }),
        ("json", open_object(&json)),
    ]
}

/// How a transaction ended, as the hypervisor recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its outcome.
    pub recorded: Recorded,
    /// Console lines of a failed guest.
    pub console: String,
    /// The hypervisor's check results, JSON objects.
    pub checks: Vec<String>,
}

/// Starts the transaction and follows it to its end; each event goes to `on_event`.
///
/// # Errors
/// Refused (12) when it could not be started; unknown (40) when its record has gone
/// meanwhile; unreachable (11) when the link was lost, and then the caller follows again: the
/// transaction goes on by itself.
pub async fn start(host: &Host, trial: &OnTrial, on_event: impl FnMut(events::Line)) -> Result<Ended> {
    let reply = follow(host, script::BEGIN_TRANSACTION, &trial.input, on_event).await?;
    begun(&trial.movement.vm, &reply)
}

/// What the answer of a script that begins and then follows says. Only where it says that
/// it has not begun is nothing touched.
fn begun(vm: &VmName, reply: &Reply) -> Result<Ended> {
    const ROOM: &str =
        "see whether the disk is full or read-only: df -h /var/lib; systemctl is-system-running";
    let (what, help) = match reply.code {
        65 => ("read the whole transaction", "the connection may have been cut: try again"),
        73 => ("write to /var/lib/deployvm", ROOM),
        74 => ("start a transient unit", ROOM),
        _ => return ended(reply),
    };
    let said = reply.lines.iter().chain(&reply.fields).map(String::as_str);
    Err(Failure::new(Aftermath::Refused, format!("cannot {what} on the hypervisor for {vm}"))
        .output(&said.collect::<Vec<_>>().join("\n"))
        .help(help))
}

/// Follows a transaction that was started before.
///
/// # Errors
/// As for [`start`].
pub async fn resume(host: &Host, id: &TransactionId, on_event: impl FnMut(events::Line)) -> Result<Ended> {
    let reply = follow(host, script::FOLLOW, &[id.to_string()], on_event).await?;
    ended(&reply)
}

async fn follow(
    host: &Host,
    script: script::Script,
    args: &[String],
    mut on_event: impl FnMut(events::Line),
) -> Result<Reply> {
    let on_line = |line: &str| {
        if let Some(event) = events::parse_line(line) {
            on_event(event);
        }
    };
    host.follow(script, args, on_line).await
}

fn ended(reply: &Reply) -> Result<Ended> {
    let first = reply.fields.first().filter(|_| reply.code == 0);
    let recorded = first.and_then(|text| events::parse_outcome(text));
    let recorded = recorded.ok_or_else(|| {
        Failure::new(Aftermath::Unknown, "the hypervisor has no record of how the switch ended")
            .help("see `deployvm status` and `deployvm history`")
    })?;
    Ok(Ended {
        recorded,
        console: reply.fields.get(1).cloned().unwrap_or_default(),
        checks: reply.fields.iter().skip(2).cloned().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_begun_is_refused() {
        let vm = "vm1".parse::<VmName>().unwrap();
        let said = |code: u32, fields: &[&str]| {
            let fields = fields.iter().map(|field| (*field).to_owned()).collect();
            begun(&vm, &Reply { code, fields, ..Reply::default() })
        };
        for code in [65, 73, 74] {
            let failure = said(code, &["why not"]).unwrap_err();
            assert_eq!((failure.aftermath.code(), failure.output), (12, vec!["why not".to_owned()]));
            assert!(failure.message.ends_with(" on the hypervisor for vm1"), "{}", failure.message);
        }
        // The record was removed while it was followed: the VM was touched.
        for code in [1, 64, 66, 255] {
            assert_eq!(said(code, &["refused\n12\n\nlocked\n\n\n"]).unwrap_err().aftermath.code(), 40);
        }
        assert_eq!(said(0, &[]).unwrap_err().aftermath.code(), 40);
        assert!(said(0, &["refused\n12\n\nlocked\n\n\n"]).is_ok());
    }
}
