//! A closure diff as lines: what was added, removed and changed, and in one line
//! what was only rebuilt.

use super::page::{Page, Tone};
use super::quantity;
use crate::model::closure::{ClosureDiff, PackageChange};

/// Names of rebuilt packages that are listed before the rest is only counted.
const REBUILT_SHOWN: usize = 4;

/// The lines of a diff, each behind `indent` spaces, none wider than the page.
pub fn lines(diff: &ClosureDiff, page: Page, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let listed = [("~", &diff.changed), ("+", &diff.added), ("-", &diff.removed)];
    for (sign, changes) in listed {
        lines.extend(changes.iter().map(|change| package(sign, change, page)));
    }
    if !diff.rebuilt.is_empty() {
        lines.push(page.paint(Tone::Dim, &rebuilt(&diff.rebuilt)));
    }
    let indent = " ".repeat(indent);
    lines.into_iter().map(|line| page.cut(&format!("{indent}{line}"))).collect()
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

fn package(sign: &str, change: &PackageChange, page: Page) -> String {
    let size = match change.bytes {
        0 => String::new(),
        bytes => format!(", {}", quantity::signed_bytes(bytes)),
    };
    match sign {
        "+" => page.paint(Tone::Good, &format!("+ {}{size}", with(change, &change.after))),
        "-" => page.paint(Tone::Bad, &format!("- {}{size}", with(change, &change.before))),
        _ => {
            let (before, after) = (versions(&change.before), versions(&change.after));
            let size = page.paint(Tone::Dim, &size);
            let arrow = page.paint(Tone::Warn, "~");
            format!("{arrow} {}: {before} → {after}{size}", change.name)
        }
    }
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

fn rebuilt(changes: &[PackageChange]) -> String {
    let names: Vec<&str> = changes.iter().take(REBUILT_SHOWN).map(|c| c.name.as_str()).collect();
    let bytes = changes.iter().map(|c| c.bytes).fold(0, i64::saturating_add);
    let size = if bytes == 0 { String::new() } else { format!(", {}", quantity::signed_bytes(bytes)) };
    match changes.len().saturating_sub(REBUILT_SHOWN) {
        0 => format!("  rebuilt: {}{size}", names.join(", ")),
        more => format!("  rebuilt: {} and {more} more{size}", names.join(", ")),
    }
}
