//! The text of `generations`: the newest last, where the prompt will be.

use super::page::{Page, Tone};
use super::quantity;
use super::table::{Cell, Table};
use crate::error::clean_line;
use crate::model::generation::Generation;

/// The whole text, without a newline at its end.
pub fn text(generations: &[Generation], page: Page) -> String {
    if generations.is_empty() {
        return "no generations".to_owned();
    }
    let mut table = Table::new(["GEN", "TIME", "REVISION", "WHO", "SIZE", "RUNNER", "MARKS"]);
    for generation in generations {
        let who = generation.who.as_deref().map(clean_line).unwrap_or_else(|| "adopted".to_owned());
        let marks = marks(generation);
        let tone = if generation.booted { Tone::Good } else { Tone::Plain };
        table.row([
            Cell::new(generation.number.to_string()).right().tone(Tone::Strong),
            Cell::new(quantity::minute(generation.time.as_deref())),
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
