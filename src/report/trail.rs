//! The line of one VM while it is switched, as it grows in place: `stopped →
//! started → checks 2/3…`. Pure; who draws it is not its business.

use super::page::columns;
use crate::error::clean_line;
use crate::model::check::CheckResult;

const ARROW: &str = " → ";

/// What has happened to one VM so far.
#[derive(Debug, Default)]
pub(super) struct Trail {
    words: Vec<String>,
    /// Where among the words the checks stand, once the first has ended.
    checks: Option<usize>,
    ended: usize,
    passed: usize,
    failed: Vec<String>,
    planned: usize,
    doing: Option<String>,
}

impl Trail {
    /// The trail of a VM for which so many checks are planned.
    pub fn new(planned: usize) -> Self {
        Self { planned, ..Self::default() }
    }

    /// The transaction went a step further.
    pub fn step(&mut self, step: &str, detail: Option<&str>) {
        let doing = match step {
            "locked" => "preparing",
            "stopping" => "stopping",
            "stopped" => {
                let killed = detail.is_some_and(|detail| detail.contains("kill"));
                self.words.push(if killed { "killed" } else { "stopped" }.to_owned());
                "starting"
            }
            "flipped" => "starting",
            "started" => {
                self.words.push("started".to_owned());
                "booting"
            }
            "booted" => "booting",
            "proven" | "positive" => "checking",
            "waiting" => "waiting for the verdict",
            "decided" | "closed" => "",
            "undoing" => {
                self.words.push("undo".to_owned());
                self.checks = None;
                (self.ended, self.passed, self.failed) = (0, 0, Vec::new());
                "stopping"
            }
            other => &clean_line(other),
        };
        self.doing = (!doing.is_empty()).then(|| doing.to_owned());
    }

    /// A check ended.
    pub fn check(&mut self, check: &CheckResult) {
        self.ended += 1;
        if check.ok {
            self.passed += 1;
        } else {
            self.failed.push(clean_line(&check.name));
        }
        let total = self.planned.max(self.ended);
        let failed = match self.failed.as_slice() {
            [] => String::new(),
            failed => format!(" ({} failed)", failed.join(", ")),
        };
        let more = if self.ended < total { "…" } else { "" };
        let word = format!("checks {}/{total}{failed}{more}", self.passed);
        self.doing = None;
        match self.checks.and_then(|at| self.words.get_mut(at)) {
            Some(old) => *old = word,
            None => {
                self.checks = Some(self.words.len());
                self.words.push(word);
            }
        }
    }

    /// Nothing more will come but this word.
    pub fn end(&mut self, word: String) {
        self.words.push(word);
        self.doing = None;
    }

    /// Whether anything has happened at all.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.doing.is_none()
    }

    /// The line. Where it has no room, what happened first is left out.
    pub fn text(&self, width: Option<usize>) -> String {
        let doing = self.doing.iter().map(|doing| format!("{doing}…"));
        let words: Vec<String> = self.words.iter().cloned().chain(doing).collect();
        let whole = words.join(ARROW);
        let Some(width) = width.filter(|width| columns(&whole) > *width) else { return whole };
        let shorter = (1..words.len()).map(|from| format!("…{ARROW}{}", words[from..].join(ARROW)));
        let last = words.last().cloned().unwrap_or_default();
        shorter.into_iter().find(|text| columns(text) <= width).unwrap_or(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::check::From;

    fn check(name: &str, ok: bool) -> CheckResult {
        CheckResult {
            name: name.into(),
            from: From::Hypervisor,
            ok,
            millis: Some(1),
            note: None,
            definition: None,
        }
    }

    #[test]
    fn grows_in_place() {
        let mut trail = Trail::new(3);
        let mut seen = Vec::new();
        for step in ["locked", "stopping", "stopped", "flipped", "started", "booted", "proven"] {
            trail.step(step, None);
            seen.push(trail.text(None));
        }
        for (name, ok) in [("ping", true), ("ssh", true), ("web", false)] {
            trail.check(&check(name, ok));
            seen.push(trail.text(None));
        }
        trail.step("undoing", None);
        trail.step("stopped", Some("killed"));
        trail.step("started", None);
        trail.check(&check("ping", true));
        trail.end("rolled-back".into());
        seen.extend([trail.text(None), trail.text(Some(50)), trail.text(Some(5))]);
        insta::assert_snapshot!(seen.join("\n"), @"
        preparing…
        stopping…
        stopped → starting…
        stopped → starting…
        stopped → started → booting…
        stopped → started → booting…
        stopped → started → checking…
        stopped → started → checks 1/3…
        stopped → started → checks 2/3…
        stopped → started → checks 2/3 (web failed)
        stopped → started → checks 2/3 (web failed) → undo → killed → started → checks 1/3… → rolled-back
        … → killed → started → checks 1/3… → rolled-back
        rolled-back
        ");
    }
}
