//! How small text files differ, as unified diffs.

use std::time::Duration;

use serde::Serialize;
use similar::TextDiff;

use super::page::{Page, Tone, harmless};
use crate::model::text::{TextChange, Texts};

/// Lines for one VM; nobody reads more on a terminal. `--json` has them all.
const MOST_LINES: usize = 300;
/// Lines around a difference.
const AROUND: usize = 3;
/// After this the rest of a file is simply different.
const PATIENCE: Duration = Duration::from_millis(100);

/// The lines below a closure diff.
pub fn lines(texts: &Texts, page: Page) -> Vec<String> {
    let head = |text: &str| page.wrap("  ", &format!("files: {text}"), 9);
    if let Some(reason) = &texts.unknown {
        return vec![page.paint_lines(Tone::Warn, &head(&format!("cannot be told: {}", harmless(reason))))];
    }
    let mut lines = vec![match texts.changes.len() {
        0 => head("no small text file differs"),
        _ => "  files:".to_owned(),
    }];
    let all: Vec<String> = texts.changes.iter().flat_map(|each| change(each, page)).collect();
    let left = all.len().saturating_sub(MOST_LINES);
    lines.extend(all.into_iter().take(MOST_LINES));
    let dim = |text: String| page.paint_lines(Tone::Dim, &page.wrap("    ", &text, 6));
    if left > 0 {
        lines.push(dim(format!("and {left} more lines: --json has them all")));
    }
    if texts.rehashed > 0 {
        let (files, differ) = if texts.rehashed == 1 { ("file", "differs") } else { ("files", "differ") };
        let count = texts.rehashed;
        lines.push(dim(format!("{count} {files} {differ} only in the hashes of store paths")));
    }
    if !texts.left_out.is_empty() {
        lines.push(dim(format!("not compared: {}", harmless(&texts.left_out.join("; ")))));
    }
    lines
}

fn change(change: &TextChange, page: Page) -> Vec<String> {
    let (sign, tone) = match (&change.before, &change.after) {
        (None, _) => ("+", Tone::Good),
        (_, None) => ("-", Tone::Bad),
        _ => ("~", Tone::Strong),
    };
    let name = page.cut(&format!("    {sign} {}", harmless(&name(change))));
    let mut lines = vec![page.paint_lines(tone, &name)];
    lines.extend(unified(change).iter().map(|line| {
        let tone = match line.as_bytes().first() {
            Some(b'+') => Tone::Good,
            Some(b'-') => Tone::Bad,
            Some(b'@' | b'\\') => Tone::Dim,
            _ => Tone::Plain,
        };
        page.paint_lines(tone, &page.cut(&format!("      {line}")))
    }));
    lines
}

/// The store path's name and the way in it.
fn name(change: &TextChange) -> String {
    format!("{}{}", change.package, change.file)
}

/// The lines of a unified diff, each of them harmless.
fn unified(change: &TextChange) -> Vec<String> {
    let old = change.before.as_deref().unwrap_or_default();
    let new = change.after.as_deref().unwrap_or_default();
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let text = diff.unified_diff().context_radius(AROUND).to_string();
    text.lines().map(harmless).collect()
}

/// The same for machines.
#[derive(Serialize)]
pub(super) struct WireTexts<'a> {
    changed: Vec<WireText<'a>>,
    rehashed: usize,
    left_out: Vec<String>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct WireText<'a> {
    package: &'a str,
    file: String,
    change: &'static str,
    diff: String,
}

impl<'a> From<&'a Texts> for WireTexts<'a> {
    fn from(texts: &'a Texts) -> Self {
        let one = |each: &'a TextChange| WireText {
            package: &each.package,
            file: harmless(&each.file),
            change: match (&each.before, &each.after) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            },
            diff: unified(each).join("\n"),
        };
        Self {
            changed: texts.changes.iter().map(one).collect(),
            rehashed: texts.rehashed,
            left_out: texts.left_out.iter().map(|text| harmless(text)).collect(),
            reason: texts.unknown.as_deref().map(harmless),
        }
    }
}
