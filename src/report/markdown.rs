//! The plan, the result and a failure as Markdown: what is appended to a pipeline's
//! summary, and can be posted as a comment. One row per VM. Whatever comes from a flake or
//! a host stands in code, where nothing links, mentions or formats.

use super::page::{Page, harmless};
use super::quantity;
use super::{closure, failure, plan as plan_text, summary, wording};
use crate::error::{Failure, clean_line};
use crate::model::closure::ClosureDiff;
use crate::model::outcome::Outcome;
use crate::model::plan::{How, Move, Plan};

/// Most bytes of a text that is quoted whole: comments on GitHub have at most 65536.
const MOST: usize = 30_000;

/// The plan.
pub fn plan(plan: &Plan) -> String {
    let text = plan_text::text(plan, Page::PLAIN);
    let headline = plan_text::counts(plan);
    let mut page = format!("### Plan for {}: {headline}\n\n", code(&plan.hypervisor));
    page += "| VM | plan | from | to | closure | to send |\n|---|---|---|---|---|---|\n";
    for each in &plan.moves {
        page += &row(&planned(each));
    }
    for (vm, _) in &plan.broken {
        let nothing = String::new;
        page += &row(&[
            code(vm.as_str()),
            "**cannot be built**".to_owned(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
        ]);
    }
    let attention = !(plan.broken.is_empty() && plan.warnings.is_empty() && plan.impossible.is_empty());
    page.push('\n');
    page + &details("The whole plan", &text, attention)
}

fn planned(each: &Move) -> [String; 6] {
    let changes = each.changes();
    let how = match &each.how {
        How::Refuse(why) => format!("**refused**: {}", code(why)),
        How::Keep => "unchanged".to_owned(),
        other => format!("**{}**", plan_text::how(other)),
    };
    let short = |path| code(&quantity::short(path));
    [
        code(each.vm.as_str()),
        how,
        each.from.as_ref().map(short).unwrap_or_default(),
        if changes { short(&each.to) } else { String::new() },
        each.diff.as_ref().filter(|_| changes).map(size).unwrap_or_default(),
        each.bytes_to_send
            .filter(|_| changes)
            .map(|bytes| format!("at most {}", quantity::bytes(bytes)))
            .unwrap_or_default(),
    ]
}

fn size(diff: &ClosureDiff) -> String {
    closure::size(diff).trim_start_matches("closure ").to_owned()
}

/// How it ended.
pub fn result(exit: u8, outcomes: &[Outcome]) -> String {
    let mut page = format!("### Result: {} (exit {exit})\n\n", summary::counts(outcomes));
    page += "| VM | result | generation | down | checks | why |\n|---|---|---|---|---|---|\n";
    for outcome in outcomes {
        let word = format!("{} {}", wording::sign(outcome.result), outcome.result);
        page += &row(&[
            code(outcome.name.as_str()),
            if outcome.exit == 0 { word } else { format!("**{word}**") },
            outcome.generation.map(|number| number.to_string()).unwrap_or_default(),
            outcome.downtime.map(quantity::millis).unwrap_or_default(),
            summary::checks(&outcome.checks).replacen("checks ", "", 1),
            outcome.reason.as_deref().map(code).unwrap_or_default(),
        ]);
    }
    let bad = outcomes.iter().any(|outcome| outcome.exit != 0);
    page.push('\n');
    if bad {
        page += &details("What happened", &summary::text(outcomes, Page::PLAIN), true);
    }
    page
}

/// A failure of the whole command.
pub fn failed(failure: &Failure) -> String {
    let text = failure::text(failure, Page { width: Some(100), colour: false });
    let headline =
        format!("### deployvm failed (exit {})\n\n{}\n\n", failure.aftermath.code(), code(&failure.message));
    headline + &details("What happened", &text, true)
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A text as code within a line, also within a table's cell.
fn code(text: &str) -> String {
    let text = clean_line(&harmless(text));
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(text) + 1);
    let blank = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{blank}{}{blank}{fence}", text.replace('|', "\\|"))
}

/// A text that can be unfolded.
fn details(title: &str, text: &str, open: bool) -> String {
    let (text, more) = match text.len() > MOST {
        true => (text.get(..text.floor_char_boundary(MOST)).unwrap_or_default(), "\n…"),
        false => (text, ""),
    };
    // A line that begins with a longer run of backticks would end the code.
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let open = if open { " open" } else { "" };
    format!(
        "<details{open}><summary>{title}</summary>\n\n{fence}text\n{text}{more}\n{fence}\n\n</details>\n\n"
    )
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn code_holds_whatever_it_is_given() {
        assert_eq!(code("vm_1"), "`vm_1`");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("a `b` ``c``"), "``` a `b` ``c`` ```");
        assert_eq!(code("x\n| y |\n"), "`x \\| y \\|`");
        assert_eq!(code(" \u{1b}[0m"), "");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let page = details("x", &"ü".repeat(MOST), false);
        assert!(page.len() < MOST + 200 && page.contains("…\n```\n"));
    }

    proptest! {
        #[test]
        fn nothing_leaves_its_code(text in "[`|\\\\<@a\n ]{0,20}") {
            let cell = code(&text);
            // No line ends, and no bar that is not escaped.
            prop_assert!(!cell.contains('\n'));
            let bars = cell.match_indices('|').all(|(at, _)| cell[..at].ends_with('\\'));
            prop_assert!(bars, "{}", cell);
            let page = details("x", &text, false);
            let fence: String = page.split("\n\n").nth(1).unwrap().chars().take_while(|c| *c == '`').collect();
            prop_assert!(fence.len() > longest_run(&text));
        }
    }
}
