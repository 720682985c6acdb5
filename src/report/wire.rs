//! The shapes of JSON that scripts rely on (`docs/`, interface.md): types of their
//! own, so that a change of the model does not change what is printed. Missing
//! values are `null`, never absent.

use serde::Serialize;

use super::page::harmless;
use crate::error::{Failure, clean_line};
use crate::model::check::{CheckResult, From as Place};
use crate::model::closure::{ClosureDiff, PackageChange};
use crate::model::outcome::{Outcome, Word};
use crate::model::plan::{How, Move, Plan};
use crate::model::system::{Does, Effect};

/// A check's result, without what only the ledger needs.
#[derive(Debug, Serialize)]
pub(super) struct WireCheck<'a> {
    name: &'a str,
    from: Place,
    ok: bool,
    millis: Option<u64>,
    note: Option<String>,
}

impl<'a> From<&'a CheckResult> for WireCheck<'a> {
    fn from(check: &'a CheckResult) -> Self {
        let note = check.note.as_deref().map(clean_line);
        Self { name: &check.name, from: check.from, ok: check.ok, millis: check.millis, note }
    }
}

/// One VM in a summary.
#[derive(Debug, Serialize)]
pub(super) struct WireOutcome<'a> {
    name: &'a str,
    result: Word,
    exit: u8,
    from: Option<&'a str>,
    to: Option<&'a str>,
    generation: Option<u64>,
    reason: Option<String>,
    detail: Option<String>,
    checks: Vec<WireCheck<'a>>,
    downtime_millis: Option<u64>,
    shutdown: Option<&'a str>,
    console: Vec<String>,
    transaction: Option<&'a str>,
    todo: Vec<String>,
}

impl<'a> From<&'a Outcome> for WireOutcome<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        Self {
            name: outcome.name.as_str(),
            result: outcome.result,
            exit: outcome.exit,
            from: outcome.from.as_ref().map(|path| path.as_str()),
            to: outcome.to.as_ref().map(|path| path.as_str()),
            generation: outcome.generation,
            reason: outcome.reason.as_deref().map(clean_line),
            detail: outcome.detail.as_deref().map(harmless),
            checks: outcome.checks.iter().map(Into::into).collect(),
            downtime_millis: outcome.downtime,
            shutdown: outcome.shutdown.as_deref(),
            console: outcome.console.iter().map(|line| clean_line(line)).collect(),
            transaction: outcome.transaction.as_deref(),
            todo: outcome.todo.iter().map(|step| clean_line(step)).collect(),
        }
    }
}

/// A failure of the whole command.
#[derive(Debug, Serialize)]
pub(super) struct WireFailure<'a> {
    exit: u8,
    message: String,
    state: Option<&'static str>,
    output: Vec<String>,
    help: Option<&'a str>,
}

impl<'a> From<&'a Failure> for WireFailure<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            exit: failure.aftermath.code(),
            message: harmless(&failure.message),
            state: failure.state(),
            output: failure.output.iter().map(|line| clean_line(line)).collect(),
            help: failure.help.as_deref(),
        }
    }
}

/// One package in a closure diff.
#[derive(Debug, Serialize)]
struct WirePackage<'a> {
    name: &'a str,
    before: &'a [String],
    after: &'a [String],
    bytes: i64,
}

/// A closure diff. The bytes to send are a part of it, because it is what was
/// compared; they are `null` where nothing is sent.
#[derive(Debug, Serialize)]
pub(super) struct WireDiff<'a> {
    added: Vec<WirePackage<'a>>,
    removed: Vec<WirePackage<'a>>,
    changed: Vec<WirePackage<'a>>,
    rebuilt: Vec<WirePackage<'a>>,
    bytes_before: u64,
    bytes_after: u64,
    bytes_to_send: Option<u64>,
}

impl<'a> WireDiff<'a> {
    /// The diff with what has to be sent for it.
    pub fn new(diff: &'a ClosureDiff, bytes_to_send: Option<u64>) -> Self {
        let packages = |changes: &'a [PackageChange]| {
            let wire = |c: &'a PackageChange| WirePackage {
                name: &c.name,
                before: &c.before,
                after: &c.after,
                bytes: c.bytes,
            };
            changes.iter().map(wire).collect()
        };
        Self {
            added: packages(&diff.added),
            removed: packages(&diff.removed),
            changed: packages(&diff.changed),
            rebuilt: packages(&diff.rebuilt),
            bytes_before: diff.bytes_before,
            bytes_after: diff.bytes_after,
            bytes_to_send,
        }
    }
}

#[derive(Debug, Serialize)]
struct WireAdoption<'a> {
    what: &'a str,
    path: &'a str,
}

#[derive(Debug, Serialize)]
struct WireMove<'a> {
    vm: &'a str,
    how: &'static str,
    reason: Option<String>,
    from: Option<&'a str>,
    to: &'a str,
    diff: Option<WireDiff<'a>>,
    /// Known also where the diff is not.
    bytes_to_send: Option<u64>,
    checks: Vec<&'a str>,
    adopt: Vec<WireAdoption<'a>>,
    notes: Vec<String>,
}

impl<'a> From<&'a Move> for WireMove<'a> {
    fn from(each: &'a Move) -> Self {
        let (how, reason) = match &each.how {
            How::Keep => ("keep", None),
            How::Restart => ("restart", None),
            How::Stage => ("stage", None),
            How::Install => ("install", None),
            How::Switch => ("switch", None),
            How::Refuse(why) => ("refuse", Some(harmless(why))),
        };
        let adopt = each.adopt.iter().map(|(what, path)| WireAdoption { what, path: path.as_str() });
        Self {
            vm: each.vm.as_str(),
            how,
            reason,
            from: each.from.as_ref().map(|path| path.as_str()),
            to: each.to.as_str(),
            diff: each.diff.as_ref().map(|diff| WireDiff::new(diff, each.bytes_to_send)),
            bytes_to_send: each.bytes_to_send,
            checks: each.checks.iter().map(|check| check.name.as_str()).collect(),
            adopt: adopt.collect(),
            notes: each.notes.iter().map(|note| harmless(note)).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct WireBroken<'a> {
    vm: &'a str,
    error: Vec<String>,
}

/// A plan.
#[derive(Debug, Serialize)]
pub(super) struct WirePlan<'a> {
    hypervisor: &'a str,
    changes: bool,
    moves: Vec<WireMove<'a>>,
    broken: Vec<WireBroken<'a>>,
    warnings: Vec<String>,
    /// Of a plan for the hypervisor's own system only.
    #[serde(skip_serializing_if = "Option::is_none")]
    effects: Option<Vec<WireEffect<'a>>>,
}

/// What a switch of the hypervisor's own system does to a VM.
#[derive(Debug, Serialize)]
struct WireEffect<'a> {
    vm: &'a str,
    does: Does,
    from: Option<&'a str>,
    to: Option<&'a str>,
    notes: Vec<String>,
}

impl<'a> From<&'a Effect> for WireEffect<'a> {
    fn from(effect: &'a Effect) -> Self {
        Self {
            vm: effect.vm.as_str(),
            does: effect.does,
            from: effect.from.as_ref().map(|path| path.as_str()),
            to: effect.to.as_ref().map(|path| path.as_str()),
            notes: effect.notes.iter().map(|note| harmless(note)).collect(),
        }
    }
}

impl<'a> From<&'a Plan> for WirePlan<'a> {
    fn from(plan: &'a Plan) -> Self {
        let broken = |(vm, error): &'a (_, String)| WireBroken {
            vm: crate::model::name::VmName::as_str(vm),
            error: crate::error::last_lines(error, 30),
        };
        Self {
            hypervisor: &plan.hypervisor,
            changes: plan.has_changes(),
            moves: plan.moves.iter().map(Into::into).collect(),
            broken: plan.broken.iter().map(broken).collect(),
            warnings: plan.warnings.iter().map(|warning| harmless(warning)).collect(),
            effects: plan.effects.as_ref().map(|all| all.iter().map(Into::into).collect()),
        }
    }
}
