//! The text of `history`: the ledger, oldest first. Lines of other versions may
//! lack anything; what is not there is left empty.

use super::page::{Page, Tone};
use super::quantity;
use super::summary;
use super::table::{Cell, Give, Table};
use crate::error::clean_line;
use crate::model::ledger::Entry;

/// When, what and why are what the list is for; the rest is in JSON as well.
const GIVES: &[Give] = &[
    Give::Short("WHO"),
    Give::Gone("REVISION"),
    Give::Gone("WHO"),
    Give::Gone("DOWN"),
    Give::Short("TIME"),
    Give::Cut("VM", 6),
];

/// The whole text, without a newline at its end.
pub fn text(entries: &[Entry], page: Page) -> String {
    if entries.is_empty() {
        return "nothing in the ledger".to_owned();
    }
    let header = ["TIME", "VM", "VERB", "RESULT", "GEN", "DOWN", "REVISION", "WHO", "WHY"];
    let mut table = Table::new(header).giving(GIVES);
    for entry in entries {
        let text = |text: &Option<String>| clean_line(text.as_deref().unwrap_or_default());
        let result = text(&entry.result);
        let who = text(&entry.who);
        let tone = tone(&result);
        let time = quantity::minute(entry.time.as_deref());
        let down = entry.durations.get("downtime").copied().map(quantity::millis);
        table.row([
            Cell::new(time.clone()).short(quantity::without_year(&time)),
            Cell::new(clean_line(&entry.vm)).tone(Tone::Strong),
            Cell::new(text(&entry.verb)),
            Cell::new(result).tone(tone),
            Cell::new(entry.generation.map(|n| n.to_string()).unwrap_or_default()).right(),
            Cell::new(down.unwrap_or_default()).right(),
            Cell::new(quantity::revision(entry.revision.as_deref(), entry.dirty)),
            Cell::new(who.clone()).short(who.split('@').next().unwrap_or_default()),
            Cell::new(text(&entry.reason)),
        ]);
    }
    table.render(page)
}

fn tone(result: &str) -> Tone {
    let word = serde_json::Value::String(result.to_owned());
    serde_json::from_value(word).map(summary::tone).unwrap_or_default()
}
