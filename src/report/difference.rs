//! The text of `diff`: a closure diff for each VM.

use super::Difference;
use super::closure;
use super::page::{Page, Tone};
use super::quantity;

/// The whole text, without a newline at its end.
pub fn text(differences: &[Difference], page: Page) -> String {
    if differences.is_empty() {
        return "nothing to compare".to_owned();
    }
    let blocks = differences.iter().map(|each| one(each, page).join("\n"));
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn one(each: &Difference, page: Page) -> Vec<String> {
    let name = page.paint(Tone::Strong, each.vm.as_str());
    let runners = match (&each.from, &each.to) {
        (from, Some(to)) => quantity::short_move(from.as_ref(), to),
        (Some(from), None) => format!("{} → nothing", quantity::short(from)),
        (None, None) => "nothing".to_owned(),
    };
    let mut lines = vec![page.cut(&format!("{name}  {runners}"))];
    let changes = closure::lines(&each.diff, page, 2);
    if changes.is_empty() {
        lines.push("  no difference".to_owned());
        return lines;
    }
    lines.extend(changes);
    let send = match each.bytes_to_send {
        Some(bytes) => format!(", at most {} to send", quantity::bytes(bytes)),
        None => String::new(),
    };
    lines.push(page.cut(&format!("  {}{send}", closure::size(&each.diff))));
    lines
}
