//! Why a runner differs: where the difference begins, and the way there.

use serde::Serialize;

use super::page::{Page, Tone, harmless};
use crate::model::why::{Cause, Change, What, Why};

/// Lines for one VM; nobody reads more. `--json` has them all.
const MOST_LINES: usize = 40;
/// Lines for one derivation.
const MOST_CHANGES: usize = 4;
/// Steps of a way that are shown at either end.
const MOST_STEPS: usize = 4;

/// The lines below a closure diff.
pub fn lines(why: &Why, page: Page) -> Vec<String> {
    let head = |text: &str| page.wrap("  ", &format!("why: {text}"), 7);
    if let Some(reason) = &why.unknown {
        return vec![page.paint_lines(Tone::Warn, &head(&format!("cannot be told: {}", harmless(reason))))];
    }
    if why.causes.is_empty() {
        return vec![head("the derivations do not differ in anything of their own")];
    }
    let mut lines = vec!["  why:".to_owned()];
    let mut shown = 0;
    for each in &why.causes {
        let block: Vec<String> =
            cause(each, page).iter().flat_map(|l| l.lines()).map(str::to_owned).collect();
        if shown > 0 && lines.len() + block.len() > MOST_LINES {
            break;
        }
        lines.extend(block);
        shown += 1;
    }
    let left = why.causes.len() - shown;
    let more = match (left, why.more) {
        (0, false) => return lines,
        (0, true) => "and more that were not looked for".to_owned(),
        (left, false) => format!("and {left} more: --json has them all"),
        (left, true) => format!("and at least {left} more"),
    };
    lines.push(page.paint(Tone::Dim, &format!("    {more}")));
    lines
}

fn cause(cause: &Cause, page: Page) -> Vec<String> {
    let name = cause.way.last().map(String::as_str).unwrap_or_default();
    let named = cause.changes.iter().find(|change| change.what == What::Name);
    let before = named.and_then(|change| change.before.as_deref());
    let title = before.map_or_else(|| name.to_owned(), |before| format!("{before} → {name}"));
    let mut lines = vec![page.wrap("    ", &page.paint(Tone::Strong, &title), 6)];
    let changes: Vec<&Change> = cause.changes.iter().filter(|change| change.what != What::Name).collect();
    lines.extend(changes.iter().take(MOST_CHANGES).map(|each| change(each, page)));
    if let Some(more) = changes.len().checked_sub(MOST_CHANGES).filter(|more| *more > 0) {
        lines.push(page.paint(Tone::Dim, &format!("      and {more} more in it")));
    }
    if let Some((_, above)) = cause.way.split_last().filter(|(_, above)| !above.is_empty()) {
        let text = format!("needed by {}", way(above));
        lines.push(page.paint_lines(Tone::Dim, &page.wrap("      ", &text, 8)));
    }
    lines
}

/// The way to it, without its middle if it is long.
fn way(above: &[String]) -> String {
    let join = |steps: &[String]| steps.join(" › ");
    match (above.get(..MOST_STEPS), above.get(above.len().saturating_sub(MOST_STEPS)..)) {
        (Some(first), Some(last)) if above.len() > 2 * MOST_STEPS => {
            format!("{} › … › {}", join(first), join(last))
        }
        _ => join(above),
    }
}

fn change(change: &Change, page: Page) -> String {
    let Change { what, name, before, after } = change;
    let what_is_it = harmless(&format!("{} {name}", what.word()));
    let (tone, text) = match (what, before, after) {
        (What::Unreadable, ..) => (Tone::Warn, "its derivation cannot be read".to_owned()),
        (What::Input | What::Source, None, _) => (Tone::Good, format!("+ {what_is_it}")),
        (What::Input | What::Source, _, None) => (Tone::Bad, format!("- {what_is_it}")),
        (What::Source, ..) => (Tone::Plain, format!("~ {what_is_it} has another content")),
        (_, None, Some(value)) => (Tone::Good, format!("+ {what_is_it}: {}", harmless(value))),
        (_, Some(value), None) => (Tone::Bad, format!("- {what_is_it}: {}", harmless(value))),
        (_, Some(old), Some(new)) => {
            let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { harmless(text) };
            (Tone::Plain, format!("~ {what_is_it}: {} → {}", shown(old), shown(new)))
        }
        (_, None, None) => (Tone::Plain, format!("~ {what_is_it}")),
    };
    page.paint_lines(tone, &page.wrap("      ", &text, 8))
}

/// The same for machines.
#[derive(Serialize)]
pub(super) struct WireWhy<'a> {
    causes: Vec<WireCause<'a>>,
    more: bool,
    reason: Option<String>,
}

#[derive(Serialize)]
struct WireCause<'a> {
    name: &'a str,
    way: &'a [String],
    before: &'a str,
    after: &'a str,
    changes: Vec<WireChange>,
}

#[derive(Serialize)]
struct WireChange {
    what: &'static str,
    name: String,
    before: Option<String>,
    after: Option<String>,
}

impl<'a> From<&'a Why> for WireWhy<'a> {
    fn from(why: &'a Why) -> Self {
        let change = |each: &Change| WireChange {
            what: each.what.word(),
            name: harmless(&each.name),
            before: each.before.as_deref().map(harmless),
            after: each.after.as_deref().map(harmless),
        };
        let cause = |each: &'a Cause| WireCause {
            name: each.way.last().map(String::as_str).unwrap_or_default(),
            way: &each.way,
            before: each.before.as_str(),
            after: each.after.as_str(),
            changes: each.changes.iter().map(change).collect(),
        };
        let causes = why.causes.iter().map(cause).collect();
        Self { causes, more: why.more, reason: why.unknown.as_deref().map(harmless) }
    }
}
