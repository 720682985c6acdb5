//! The text after a push, a rollback or a check: a row per VM, then for each that
//! went wrong the reason, the state things are in now, the last console lines and
//! the next command to type.

use super::page::{Page, Tone, harmless};
use super::quantity;
use super::table::{Cell, Table};
use crate::error::clean_line;
use crate::model::check::CheckResult;
use crate::model::outcome::{Outcome, Word};

/// Lines of the console that are shown of a failed guest.
const CONSOLE_LINES: usize = 20;
/// Characters that stand well in a row.
const FEW: usize = 40;

/// The whole text, without a newline at its end.
pub fn text(outcomes: &[Outcome], page: Page) -> String {
    if outcomes.is_empty() {
        return "no microVMs".to_owned();
    }
    let mut table = Table::default();
    outcomes.iter().for_each(|outcome| table.row(row(outcome)));
    let mut lines = vec![table.render(page)];
    for outcome in outcomes.iter().filter(|o| needs_words(o)) {
        lines.push(String::new());
        lines.extend(block(outcome, page));
    }
    if outcomes.len() > 1 {
        lines.push(String::new());
        lines.push(counts(outcomes));
    }
    lines.join("\n")
}

/// The colour of a result.
pub fn tone(result: Word) -> Tone {
    match result {
        Word::Deployed | Word::Staged | Word::Done => Tone::Good,
        Word::Unchanged => Tone::Dim,
        Word::RolledBack | Word::Skipped => Tone::Warn,
        Word::Failed | Word::Refused => Tone::Bad,
    }
}

/// How many of the checks passed, such as `checks 2/3`; nothing if there were none.
pub fn checks(checks: &[CheckResult]) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let passed = checks.iter().filter(|c| c.ok).count();
    let excused = checks.iter().filter(|c| is_excused(c)).count();
    let excused = if excused > 0 { format!(", {excused} failing before") } else { String::new() };
    format!("checks {passed}/{}{excused}", checks.len())
}

/// Whether a failed check was excused, because it failed before the push too.
pub fn is_excused(check: &CheckResult) -> bool {
    !check.ok && check.note.as_deref() == Some("failing-before")
}

fn row(outcome: &Outcome) -> Vec<Cell> {
    let shutdown = match outcome.shutdown.as_deref() {
        Some("killed") => Cell::new("guest had to be killed").short("guest killed").tone(Tone::Warn),
        Some("clean") => Cell::new("clean shutdown").short("clean"),
        Some(other) => Cell::new(clean_line(other)),
        None => Cell::default(),
    };
    let downtime = outcome.downtime.map(|m| format!("down {}", quantity::millis(m))).unwrap_or_default();
    let generation = outcome.generation.map(|n| format!("generation {n}")).unwrap_or_default();
    let short = outcome.generation.map(|n| format!("gen {n}")).unwrap_or_default();
    let all = checks(&outcome.checks);
    vec![
        Cell::new(outcome.name.as_str()).tone(Tone::Strong),
        Cell::new(done(outcome).map_or_else(|| outcome.result.to_string(), clean_line))
            .tone(tone(outcome.result)),
        Cell::new(generation).short(short),
        Cell::new(downtime),
        shutdown,
        Cell::new(all.clone()).short(all.split(',').next().unwrap_or_default()),
    ]
}

/// What was done, in the words for it, where they are few enough to stand for `done`.
fn done(outcome: &Outcome) -> Option<&str> {
    let said = outcome.detail.as_deref().filter(|_| outcome.result == Word::Done && outcome.exit == 0);
    said.filter(|said| said.chars().count() <= FEW)
}

fn needs_words(outcome: &Outcome) -> bool {
    let has_more = outcome.detail.is_some() && done(outcome).is_none();
    outcome.exit != 0 || outcome.checks.iter().any(|c| !c.ok) || has_more
}

fn block(outcome: &Outcome, page: Page) -> Vec<String> {
    let name = page.paint(Tone::Strong, outcome.name.as_str());
    let word = page.paint(tone(outcome.result), &outcome.result.to_string());
    let why = outcome.reason.as_deref().map(|r| format!(": {}", clean_line(r))).unwrap_or_default();
    let mut lines = vec![page.cut(&format!("{name} {word}{why}"))];
    if let Some(detail) = &outcome.detail {
        lines.push(page.wrap("  ", &harmless(detail), 2));
    }
    for check in outcome.checks.iter().filter(|c| !c.ok) {
        let tone = if is_excused(check) { Tone::Warn } else { Tone::Bad };
        let first = format!("  {} ", page.paint(tone, "check"));
        lines.push(page.wrap(&first, &failed_check(check), 8));
    }
    if let Some(state) = state(outcome) {
        lines.push(page.wrap("  state: ", &state, 9));
    }
    let skip = outcome.console.len().saturating_sub(CONSOLE_LINES);
    if outcome.exit != 0 && !outcome.console.is_empty() {
        let whose = if outcome.name.is_host() { "of switch-to-configuration" } else { "of its console" };
        lines.push(format!("  last lines {whose}:"));
        let console = outcome.console.iter().skip(skip);
        lines.extend(
            console.map(|line| page.cut(&format!("    {} {}", page.paint(Tone::Dim, "│"), clean_line(line)))),
        );
    }
    if !outcome.todo.is_empty() {
        lines.push("  do this, in this order:".to_owned());
        let numbered = (1..).zip(&outcome.todo);
        lines.extend(numbered.map(|(n, step)| page.wrap(&format!("  {n}. "), &harmless(step), 5)));
        return lines;
    }
    let firsts = ["  next: "].into_iter().chain(std::iter::repeat("        "));
    lines.extend(firsts.zip(next(outcome)).map(|(first, command)| format!("{first}{command}")));
    lines
}

/// A failed check in words, such as `web from hypervisor failed after 30.0 s: HTTP 500`.
pub fn failed_check(check: &CheckResult) -> String {
    let name = clean_line(&check.name);
    if is_excused(check) {
        return format!("{name} from {} fails, as it did before", check.from);
    }
    let after = match check.millis {
        Some(millis) => format!("failed after {}", quantity::millis(millis)),
        None => "could not run".to_owned(),
    };
    let note = check.note.as_deref().map(|note| format!(": {}", clean_line(note))).unwrap_or_default();
    format!("{name} from {} {after}{note}", check.from)
}

/// The state that this VM is in now, where that does not go without saying.
pub fn state(outcome: &Outcome) -> Option<String> {
    let runner = |what: &str| match &outcome.from {
        Some(from) => format!("{what} ({})", quantity::short(from)),
        None => what.to_owned(),
    };
    Some(match (outcome.exit, outcome.result) {
        (0, _) => return None,
        (10..=13, _) => "not touched".to_owned(),
        (20, _) => "not touched; some store paths may have been copied".to_owned(),
        (30 | 31, Word::Failed) => "as before: absent".to_owned(),
        (30 | 31, _) => runner("what ran before runs again"),
        (32, _) if outcome.reason.as_deref() == Some("not-installed") => "absent".to_owned(),
        (32, _) => "left as it is".to_owned(),
        (130, _) => "not touched".to_owned(),
        _ if !outcome.todo.is_empty() => {
            "neither what was asked for nor what was before: it needs you".to_owned()
        }
        _ => "not known: look at the hypervisor".to_owned(),
    })
}

/// What to type next, the likeliest first; each can be copied as it stands.
fn next(outcome: &Outcome) -> Vec<String> {
    let vm = &outcome.name;
    if vm.is_host() {
        return of_the_host(outcome);
    }
    let again = || outcome.again.clone().unwrap_or_else(|| format!("push {vm}"));
    let words = match outcome.exit {
        0..=2 => Vec::new(),
        11 => vec!["doctor".to_owned()],
        12 => vec![format!("plan {vm}")],
        10 | 13 | 20 | 130 => vec![again()],
        // Nothing failed: there is nothing to look at.
        30 | 31 if outcome.reason.as_deref() == Some("interrupted") => vec![again()],
        30 | 31 if outcome.again.is_some() => vec![format!("history {vm}")],
        // The second leaves it as it fails, to be looked at.
        30 | 31 => vec![format!("history {vm}"), format!("push --keep-failed {vm}")],
        32 if outcome.reason.as_deref() == Some("not-installed") => vec![format!("push {vm}")],
        32 if outcome.reason.as_deref() == Some("no-runner") => {
            vec![format!("doctor {vm}"), format!("push {vm}")]
        }
        32 => vec![format!("logs {vm}"), way_back(outcome)],
        _ => vec![format!("status {vm}")],
    };
    words.into_iter().map(|words| format!("deployvm {words}")).collect()
}

/// From what was left failing: to what ran before, where that is known, and not to what
/// only has the next number below. What was not there before can only be put right.
fn way_back(outcome: &Outcome) -> String {
    let vm = &outcome.name;
    match outcome.before {
        Some(number) => format!("rollback {vm} --to {number}"),
        None if outcome.to.is_some() && outcome.from.is_none() => format!("push {vm}"),
        None => format!("rollback {vm}"),
    }
}

/// The same for the hypervisor's own system.
fn of_the_host(outcome: &Outcome) -> Vec<String> {
    let again = || vec![outcome.again.clone().unwrap_or_else(|| "host push".to_owned())];
    let interrupted = outcome.reason.as_deref() == Some("interrupted");
    let words = match outcome.exit {
        0..=2 => Vec::new(),
        11 => vec!["doctor".to_owned()],
        12 => vec!["host plan".to_owned()],
        10 | 13 | 20 | 130 => again(),
        30 | 31 if interrupted => again(),
        30 | 31 => vec!["history".to_owned()],
        _ => vec!["host generations".to_owned(), "status --no-eval".to_owned()],
    };
    words.into_iter().map(|words| format!("deployvm {words}")).collect()
}

/// How many VMs ended how.
pub fn counts(outcomes: &[Outcome]) -> String {
    use Word::{Deployed, Done, Failed, Refused, RolledBack, Skipped, Staged, Unchanged};
    let count = |word: Word| {
        let count = outcomes.iter().filter(|o| o.result == word).count();
        (count > 0).then(|| format!("{count} {word}"))
    };
    let words = [Deployed, Staged, Done, Unchanged, RolledBack, Failed, Skipped, Refused];
    words.into_iter().filter_map(count).collect::<Vec<_>>().join(", ")
}
