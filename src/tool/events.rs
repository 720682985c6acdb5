//! What a transaction on the hypervisor says: its events and its outcome.

use crate::model::check::{Check, CheckResult};
use crate::model::event::Event;
use crate::model::name::VmName;

/// One line of a transaction's `events` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `step WORD [DETAIL]`
    Step(String, Option<String>),
    /// `check NN true|false MILLIS NOTE`: index of the check, how it ended.
    Check(usize, bool, u64, Option<String>),
}

/// Parses a line; `None` for anything that is not an event.
pub fn parse_line(line: &str) -> Option<Line> {
    let mut words = line.split(' ');
    match words.next()? {
        "step" => {
            let word = words.next().filter(|w| is_word(w))?;
            let detail = words.next().filter(|d| !d.is_empty() && d.len() <= 100);
            Some(Line::Step(word.to_owned(), detail.map(str::to_owned)))
        }
        "check" => {
            let index = words.next()?.parse().ok()?;
            let ok = words.next()?.parse().ok()?;
            let millis = words.next()?.parse().ok()?;
            let note = words.next().map(|n| n.trim_matches('"')).filter(|n| is_note(n) && *n != "null");
            Some(Line::Check(index, ok, millis, note.map(str::to_owned)))
        }
        _ => None,
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 40 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

/// A word that may have a number, such as `nonzero-3`.
fn is_note(text: &str) -> bool {
    is_word(&text.replace(|c: char| c.is_ascii_digit(), "-"))
}

impl Line {
    /// The same as an event for the reporter. `checks` are those that the transaction
    /// was given, in order.
    pub fn event(self, vm: &VmName, checks: &[Check]) -> Option<Event> {
        Some(match self {
            Self::Step(step, detail) => Event::Step { vm: vm.clone(), step, detail },
            Self::Check(index, ok, millis, note) => {
                let check = checks.get(index)?;
                let check = CheckResult {
                    name: check.name.clone(),
                    from: check.from,
                    ok,
                    millis: Some(millis),
                    note,
                    definition: None,
                };
                Event::Checked { vm: vm.clone(), check }
            }
        })
    }
}

/// A transaction's outcome file: one value a line, empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// A result word.
    pub result: String,
    /// Exit code.
    pub exit: u8,
    /// Generation number.
    pub generation: Option<u64>,
    /// `commit`, `keep` or `undo`.
    pub verdict: String,
    /// Why, one word.
    pub reason: String,
    /// Milliseconds without an answer.
    pub downtime: Option<u64>,
    /// `clean`, `killed`, `none`.
    pub shutdown: Option<String>,
}

/// Parses an outcome; `None` when it is not one.
pub fn parse_outcome(text: &str) -> Option<Recorded> {
    let mut lines = text.lines();
    let result = lines.next().filter(|w| is_word(w))?.to_owned();
    let exit: u8 = lines.next()?.parse().ok()?;
    // What failed cannot end in 0, nor what succeeded in anything else.
    let good = matches!(result.as_str(), "deployed" | "staged" | "unchanged" | "done");
    if good != (exit == 0) || !matches!(exit, 0 | 12 | 20 | 30 | 31 | 32 | 40) {
        return None;
    }
    let generation = lines.next().and_then(|n| n.parse().ok());
    let decided = lines.next().unwrap_or_default();
    let (verdict, reason) = decided.split_once('.').unwrap_or((decided, ""));
    let downtime = lines.next().and_then(|n| n.parse().ok());
    let shutdown = lines.next().filter(|w| is_word(w)).map(str::to_owned);
    Some(Recorded {
        result,
        exit,
        generation,
        verdict: verdict.to_owned(),
        reason: reason.to_owned(),
        downtime,
        shutdown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_events() {
        assert_eq!(parse_line("step locked "), Some(Line::Step("locked".into(), None)));
        assert_eq!(parse_line("step started 42"), Some(Line::Step("started".into(), Some("42".into()))));
        assert_eq!(parse_line("check 01 true 120 null"), Some(Line::Check(1, true, 120, None)));
        assert_eq!(
            parse_line("check 02 false 30000 \"timeout\""),
            Some(Line::Check(2, false, 30000, Some("timeout".into())))
        );
        assert_eq!(
            parse_line("check 03 false 41 \"wrong-status-500\""),
            Some(Line::Check(3, false, 41, Some("wrong-status-500".into())))
        );
        assert_eq!(parse_line("check 03 false 41 \"a$1\""), Some(Line::Check(3, false, 41, None)));
        assert_eq!(parse_line("Welcome to hv"), None);
    }

    #[test]
    fn reads_outcomes() {
        let outcome = parse_outcome("rolled-back\n31\n\nundo.check-failed\n1800\nclean\n").unwrap();
        assert_eq!((outcome.exit, outcome.generation, outcome.reason.as_str()), (31, None, "check-failed"));
        assert_eq!((outcome.downtime, outcome.shutdown.as_deref()), (Some(1800), Some("clean")));
        assert_eq!(parse_outcome(""), None);
        for liar in ["failed\n0\n", "deployed\n40\n", "failed\n255\n", "failed\n130\n", "$(x)\n40\n"] {
            assert_eq!(parse_outcome(liar), None, "{liar:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s:.){0,60}") {
            let _ = (parse_line(&text), parse_outcome(&text));
        }
    }
}
