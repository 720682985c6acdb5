//! The text of `generations`: the newest last, where the prompt will be.

use super::page::{Page, Tone};
use super::quantity;
use super::table::{Cell, Give, HASH, Table};
use crate::error::clean_line;
use crate::model::generation::Generation;

/// A runner is known by the beginning of its hash; when it was made and what it is now are
/// what the list is for.
const GIVES: &[Give] = &[
    Give::Short("RUNNER"),
    Give::Cut("RUNNER", HASH),
    Give::Short("WHO"),
    Give::Gone("WHO"),
    Give::Gone("RUNNER"),
    Give::Gone("SIZE"),
    Give::Short("TIME"),
];

/// The whole text, without a newline at its end.
pub fn text(generations: &[Generation], page: Page) -> String {
    if generations.is_empty() {
        return "no generations".to_owned();
    }
    let header = ["GEN", "TIME", "REVISION", "WHO", "SIZE", "RUNNER", "MARKS"];
    let mut table = Table::new(header).giving(GIVES);
    for generation in generations {
        let who = generation.who.as_deref().map(clean_line).unwrap_or_else(|| "adopted".to_owned());
        let time = quantity::minute(generation.time.as_deref());
        let marks = marks(generation);
        let tone = if generation.booted { Tone::Good } else { Tone::Plain };
        table.row([
            Cell::new(generation.number.to_string()).right().tone(Tone::Strong),
            Cell::new(time.clone()).short(quantity::without_year(&time)),
            Cell::new(quantity::revision(generation.revision.as_deref(), generation.dirty)),
            Cell::new(who.clone()).short(who.split('@').next().unwrap_or_default()),
            Cell::new(generation.bytes.map(quantity::bytes).unwrap_or_default()).right(),
            Cell::new(generation.path.as_str()).short(quantity::short(&generation.path)),
            Cell::new(marks).tone(tone),
        ]);
    }
    table.render(page)
}

fn marks(generation: &Generation) -> String {
    let marks = [
        (generation.current, "current"),
        (generation.booted, "booted"),
        (generation.pinned, "pinned"),
        (!generation.verified, "unverified"),
    ];
    marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect::<Vec<_>>().join(" ")
}
