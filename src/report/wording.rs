//! The words for what stages say by events, for people; shared by the terminal and
//! the plain form.

use super::quantity;
use super::summary;
use crate::error::clean_line;
use crate::model::check::CheckResult;
use crate::model::outcome::{Outcome, Word};

/// What a phase is doing.
pub(super) fn doing(phase: &str) -> &str {
    match phase {
        "connect" => "connecting",
        "evaluate" => "evaluating",
        "evaluate-host" => "evaluating the hypervisor's configuration",
        "build" => "building",
        "look" => "looking at the hypervisor",
        "send" => "sending derivations to the hypervisor",
        "build-there" => "having the hypervisor build",
        "copy" => "copying",
        "switch" => "switching",
        "switch-host" => "switching the hypervisor's system",
        "check" => "checking",
        other => other,
    }
}

/// Whether a phase says itself when it ends, because others go on beside it.
pub(super) fn ends_by_itself(phase: &str) -> bool {
    matches!(phase, "connect" | "evaluate" | "evaluate-host")
}

/// What a phase has done.
pub(super) fn done(phase: &str) -> &str {
    match phase {
        "connect" => "connected",
        "evaluate" => "evaluated",
        "evaluate-host" => "evaluated the hypervisor's configuration",
        "build" => "built",
        "look" => "looked at the hypervisor",
        "send" => "sent derivations to the hypervisor",
        "build-there" => "had the hypervisor build",
        "copy" => "copied",
        "switch" => "switched",
        "switch-host" => "switched the hypervisor's system",
        "check" => "checked",
        other => other,
    }
}

/// What a phase counts.
pub(super) fn counted(phase: &str, count: u64) -> String {
    let noun = match phase {
        // The hypervisor's own is among them.
        "evaluate" => "configuration",
        "switch" | "check" => "microVM",
        "build" | "build-there" => "derivation",
        "copy" | "send" => "path",
        "look" | "connect" => "hypervisor",
        _ => "step",
    };
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A check in words, such as `check ping from hypervisor ok after 12 ms`.
pub(super) fn check(check: &CheckResult) -> String {
    if !check.ok {
        return format!("check {}", summary::failed_check(check));
    }
    let after = check.millis.map(|m| format!(" after {}", quantity::millis(m))).unwrap_or_default();
    format!("check {} from {} ok{after}", clean_line(&check.name), check.from)
}

/// An outcome in one line, such as `deployed, generation 4, down 1.8 s`.
pub(super) fn outcome(outcome: &Outcome) -> String {
    let mut parts = vec![match &outcome.reason {
        Some(reason) => format!("{} ({})", outcome.result, clean_line(reason)),
        None => outcome.result.to_string(),
    }];
    parts.extend(outcome.generation.map(|number| format!("generation {number}")));
    parts.extend(outcome.downtime.map(|millis| format!("down {}", quantity::millis(millis))));
    if outcome.shutdown.as_deref() == Some("killed") {
        parts.push("guest had to be killed".to_owned());
    }
    parts.join(", ")
}

/// The sign before an outcome.
pub(super) fn sign(result: Word) -> &'static str {
    match result {
        Word::Deployed | Word::Staged | Word::Done | Word::Unchanged => "✓",
        Word::RolledBack => "↺",
        Word::Skipped => "–",
        Word::Failed | Word::Refused => "✗",
    }
}
