//! What is said of the hypervisor's own system: its generations, and what a switch of it
//! does to VMs.

use super::page::{Page, Tone, harmless};
use super::quantity;
use super::table::{Cell, Give, HASH, Table};
use crate::error::clean_line;
use crate::model::system::{Does, Effect, SystemGeneration};

/// A system is known by the beginning of its hash.
const GIVES: &[Give] = &[
    Give::Short("SYSTEM"),
    Give::Cut("SYSTEM", HASH),
    Give::Cut("VERSION", 12),
    Give::Gone("SYSTEM"),
    Give::Short("TIME"),
];

/// The text of `host generations`: the newest last, where the prompt will be.
pub fn text(generations: &[SystemGeneration], page: Page) -> String {
    let mut table = Table::new(["GEN", "TIME", "VERSION", "SYSTEM", "MARKS"]).giving(GIVES);
    for generation in generations {
        let marks =
            [(generation.current, "current"), (generation.booted, "booted"), (generation.default, "default")];
        let marks: Vec<&str> = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
        let time = quantity::minute(generation.time.as_deref());
        let tone = if generation.current { Tone::Good } else { Tone::Plain };
        table.row([
            Cell::new(generation.number.to_string()).right().tone(Tone::Strong),
            Cell::new(time.clone()).short(quantity::without_year(&time)),
            Cell::new(clean_line(generation.version.as_deref().unwrap_or_default())),
            Cell::new(generation.path.as_str()).short(quantity::short(&generation.path)),
            Cell::new(marks.join(" ")).tone(tone),
        ]);
    }
    table.render(page)
}

/// A line for each VM, and what belongs to it below.
pub(super) fn effects(effects: &[Effect], page: Page) -> Vec<String> {
    let mut lines = Vec::new();
    let widest = effects.iter().map(|effect| effect.vm.as_str().len()).max().unwrap_or_default();
    for effect in effects {
        let tone = match effect.does {
            Does::Nothing => Tone::Dim,
            Does::Stages | Does::Restarts => Tone::Warn,
            Does::Starts | Does::Installs => Tone::Good,
        };
        let does = page.paint(tone, &effect.does.to_string());
        let pad = " ".repeat(widest - effect.vm.as_str().len());
        let runners = match &effect.to {
            Some(to) => format!("  {}", quantity::short_move(effect.from.as_ref(), to)),
            None => String::new(),
        };
        let name = page.paint(Tone::Strong, effect.vm.as_str());
        lines.push(page.cut(&format!("  {name}{pad}  {does}{runners}")));
        lines.extend(effect.notes.iter().map(|note| page.wrap("    note: ", &harmless(note), 10)));
    }
    lines
}
