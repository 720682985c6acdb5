//! A closure diff as lines: what was added, removed and changed, and in one line
//! what was only rebuilt.

use super::page::{NO_BREAK, Page, Tone, columns};
use super::quantity;
use crate::model::closure::{ClosureDiff, PackageChange};

/// Names of rebuilt packages that are listed before the rest is only counted.
const REBUILT_SHOWN: usize = 4;

/// The lines of a diff, each behind `indent` spaces, none wider than the page.
pub fn lines(diff: &ClosureDiff, page: Page, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let listed = [("~", &diff.changed), ("+", &diff.added), ("-", &diff.removed)];
    for (sign, changes) in listed {
        lines.extend(changes.iter().map(|change| package(sign, change, page, indent)));
    }
    if !diff.rebuilt.is_empty() {
        lines.push(rebuilt(&diff.rebuilt, page, indent));
    }
    lines
}

/// The two sizes and their difference.
pub fn size(diff: &ClosureDiff) -> String {
    if diff.bytes_before == diff.bytes_after {
        return format!("closure {}", quantity::bytes(diff.bytes_after));
    }
    format!(
        "closure {} → {} ({})",
        quantity::bytes(diff.bytes_before),
        quantity::bytes(diff.bytes_after),
        quantity::growth(diff.bytes_before, diff.bytes_after)
    )
}

fn package(sign: &str, change: &PackageChange, page: Page, indent: usize) -> String {
    let size = match change.bytes {
        0 => String::new(),
        bytes => format!(", {}", quantity::signed_bytes(bytes).replace(' ', &NO_BREAK.to_string())),
    };
    let (tone, text) = match sign {
        "+" => (Tone::Good, with(change, &change.after)),
        "-" => (Tone::Bad, with(change, &change.before)),
        _ => {
            let (before, after) = (versions(&change.before), versions(&change.after));
            (Tone::Plain, format!("{}: {before} → {after}", change.name))
        }
    };
    let first = format!("{}{sign} ", " ".repeat(indent));
    page.paint_lines(tone, &page.wrap(&first, &format!("{text}{size}"), indent + 4))
}

fn with(change: &PackageChange, versions: &[String]) -> String {
    match versions {
        [] => change.name.clone(),
        [only] if only.is_empty() => change.name.clone(),
        several => format!("{} {}", change.name, self::versions(several)),
    }
}

fn versions(versions: &[String]) -> String {
    let shown: Vec<&str> =
        versions.iter().map(|v| if v.is_empty() { "unversioned" } else { v.as_str() }).collect();
    shown.join(", ")
}

/// As many names as fit into the line, and how many more there are.
fn rebuilt(changes: &[PackageChange], page: Page, indent: usize) -> String {
    let bytes = changes.iter().map(|c| c.bytes).fold(0, i64::saturating_add);
    let size = if bytes == 0 { String::new() } else { format!(", {}", quantity::signed_bytes(bytes)) };
    let listing = |shown: usize| {
        let names: Vec<&str> = changes.iter().take(shown).map(|c| c.name.as_str()).collect();
        let what = match (shown, changes.len() - shown) {
            (0, all) => format!("{all} packages"),
            (_, 0) => names.join(", "),
            (_, more) => format!("{} and {more} more", names.join(", ")),
        };
        format!("{}  rebuilt: {what}{size}", " ".repeat(indent))
    };
    let fits = |text: &String| page.width.is_none_or(|width| columns(text) <= width);
    let most = changes.len().min(REBUILT_SHOWN);
    let text = (0..=most).rev().map(listing).find(fits).unwrap_or_else(|| page.cut(&listing(0)));
    page.paint_lines(Tone::Dim, &text)
}
