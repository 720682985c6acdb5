//! What `--json` prints: one object a line, `"schema":1` first.

use serde::Serialize;

use super::Difference;
use super::page::harmless;
use super::texts::WireTexts;
use super::why::WireWhy;
use super::wire::{WireCheck, WireDiff, WireFailure, WireOutcome, WirePlan};
use crate::error::{Failure, clean_line};
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::generation::Generation;
use crate::model::ledger::Entry;
use crate::model::name::VmName;
use crate::model::outcome::Outcome;
use crate::model::plan::Plan;
use crate::model::status::Status;
use crate::model::system::SystemGeneration;
use crate::model::template::Template;

/// Raised when a key changes its meaning or goes away; never for a new one.
const SCHEMA: u8 = 1;

#[derive(Serialize)]
struct Line<T> {
    schema: u8,
    #[serde(flatten)]
    body: T,
}

/// Any object as one line. The body must be a struct or a map.
pub fn line<T: Serialize>(body: T) -> String {
    // Keys are texts and numbers are finite, so this cannot fail.
    serde_json::to_string(&Line { schema: SCHEMA, body }).unwrap_or_default()
}

/// What was written of a template.
pub fn template(template: &Template) -> String {
    #[derive(Serialize)]
    struct Written<'a> {
        template: &'a str,
        files: Vec<&'a str>,
        next: &'a [&'a str],
    }
    let files = template.files.iter().map(|(path, _)| *path).collect();
    line(Written { template: template.name, files, next: template.next })
}

/// Everything that has a key `event`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Spoken<'a> {
    Phase { name: &'a str, total: Option<u64> },
    PhaseEnded { name: &'a str, ok: bool },
    Evaluating { vm: &'a str },
    Evaluated { vm: &'a str, ok: bool, cached: bool },
    Building { derivation: String },
    BuildLog { line: String },
    Copying { done: u64, total: u64, bytes: Option<u64>, total_bytes: Option<u64> },
    Step { vm: &'a str, step: String, detail: Option<String> },
    Checked { vm: &'a str, check: WireCheck<'a> },
    Done { vm: WireOutcome<'a> },
    Warning { message: String },
    Plan(WirePlan<'a>),
    Summary { exit: u8, vms: Vec<WireOutcome<'a>> },
    Error(WireFailure<'a>),
}

/// An event of a stage.
pub fn event(event: &Event) -> String {
    line(match event {
        Event::Phase { name, total } => Spoken::Phase { name, total: *total },
        Event::PhaseEnded { name, ok } => Spoken::PhaseEnded { name, ok: *ok },
        Event::Evaluating { vm } => Spoken::Evaluating { vm: vm.as_str() },
        Event::Evaluated { vm, ok, cached } => {
            Spoken::Evaluated { vm: vm.as_str(), ok: *ok, cached: *cached }
        }
        Event::Building { derivation } => Spoken::Building { derivation: clean_line(derivation) },
        Event::BuildLog { line } => Spoken::BuildLog { line: clean_line(line) },
        Event::Copying { done, total, bytes, total_bytes } => {
            Spoken::Copying { done: *done, total: *total, bytes: *bytes, total_bytes: *total_bytes }
        }
        Event::Step { vm, step, detail } => Spoken::Step {
            vm: vm.as_str(),
            step: clean_line(step),
            detail: detail.as_deref().map(clean_line),
        },
        Event::Checked { vm, check } => Spoken::Checked { vm: vm.as_str(), check: check.into() },
        Event::Done { outcome } => Spoken::Done { vm: outcome.into() },
        Event::Warning { message } => Spoken::Warning { message: harmless(message) },
    })
}

/// The last line of `push`, `rollback` and `check`.
pub fn summary(exit: u8, outcomes: &[Outcome]) -> String {
    line(Spoken::Summary { exit, vms: outcomes.iter().map(Into::into).collect() })
}

/// A failure of the whole command.
pub fn failure(failure: &Failure) -> String {
    line(Spoken::Error(failure.into()))
}

/// The one object of `plan`.
pub fn plan(plan: &Plan) -> String {
    line(WirePlan::from(plan))
}

/// The same among the events of `push`.
pub fn proposal(plan: &Plan) -> String {
    line(Spoken::Plan(plan.into()))
}

/// The one object of `status`.
pub fn status(rows: &[Status]) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        vms: &'a [Status],
    }
    line(Body { vms: rows })
}

/// The one object of `generations`.
pub fn generations(vm: &VmName, generations: &[Generation]) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        vm: &'a str,
        generations: &'a [Generation],
    }
    line(Body { vm: vm.as_str(), generations })
}

/// The one object of `host generations`.
pub fn system_generations(generations: &[SystemGeneration]) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        generations: &'a [SystemGeneration],
    }
    line(Body { generations })
}

/// The one object of `history`.
pub fn history(entries: &[Entry]) -> String {
    #[derive(Serialize)]
    struct WireEntry<'a> {
        #[serde(flatten)]
        entry: &'a Entry,
        // The ledger itself leaves an empty one out.
        console: Vec<String>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        entries: Vec<WireEntry<'a>>,
    }
    let wire = |entry: &Entry| {
        let console = entry.console.iter().map(|line| clean_line(line)).collect();
        (Entry { console: Vec::new(), ..entry.clone() }, console)
    };
    let owned: Vec<(Entry, Vec<String>)> = entries.iter().map(wire).collect();
    let entries = owned.iter().map(|(entry, console)| WireEntry { entry, console: console.clone() });
    line(Body { entries: entries.collect() })
}

/// The one object of `doctor`.
pub fn findings(findings: &[Finding]) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        findings: &'a [Finding],
    }
    line(Body { findings })
}

/// The one object of `diff`.
pub fn differences(differences: &[Difference]) -> String {
    #[derive(Serialize)]
    struct One<'a> {
        vm: &'a str,
        from: Option<&'a str>,
        to: Option<&'a str>,
        diff: WireDiff<'a>,
        why: Option<WireWhy<'a>>,
        files: Option<WireTexts<'a>>,
    }
    #[derive(Serialize)]
    struct Body<'a> {
        vms: Vec<One<'a>>,
    }
    fn one(each: &Difference) -> One<'_> {
        One {
            vm: each.vm.as_str(),
            from: each.from.as_ref().map(|path| path.as_str()),
            to: each.to.as_ref().map(|path| path.as_str()),
            diff: WireDiff::new(&each.diff, each.bytes_to_send),
            why: each.why.as_ref().map(Into::into),
            files: each.files.as_ref().map(Into::into),
        }
    }
    line(Body { vms: differences.iter().map(one).collect() })
}
