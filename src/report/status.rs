//! The text of `status`: a row per VM, and below the table what does not fit into
//! a row, one remark a line.

use super::page::{Page, Tone, columns, harmless};
use super::quantity;
use super::table::{Cell, Table};
use crate::error::clean_line;
use crate::model::observed::Mode;
use crate::model::status::{State, Status};
use crate::model::store_path::StorePath;

/// The whole text, without a newline at its end. `every_runner` gives each of the
/// four runners a column of its own.
pub fn text(rows: &[Status], every_runner: bool, page: Page) -> String {
    if rows.is_empty() {
        return "no microVMs".to_owned();
    }
    let several = rows.iter().any(|row| row.hypervisor != rows[0].hypervisor);
    let host = |row: &Status| Cell::new(if several { clean_line(&row.hypervisor) } else { String::new() });
    let mut table = if every_runner {
        Table::new(["NAME", "HYPERVISOR", "STATE", "GEN", "DESIRED", "STAGED", "BOOTED", "RUNNING"])
    } else {
        Table::new(["NAME", "HYPERVISOR", "STATE", "GEN", "RUNS", "UNIT", "AGE", "REVISION"])
    };
    for row in rows {
        let mut cells = vec![
            Cell::new(row.name.as_str()).tone(Tone::Strong),
            host(row),
            Cell::new(row.state.to_string()).tone(tone(row.state)),
            Cell::new(row.generation.map(|n| n.to_string()).unwrap_or_default()).right(),
        ];
        let runner = &row.runner;
        if every_runner {
            let all = [&runner.desired, &runner.staged, &runner.booted, &runner.running];
            cells.extend(all.map(|path| path_cell(path.as_ref())));
        } else {
            cells.extend([path_cell(runs(row)), unit(row), age(row)]);
            cells.push(Cell::new(quantity::revision(row.revision.as_deref(), row.dirty)));
        }
        table.row(cells);
    }
    let mut lines = vec![table.render(page)];
    let remarks: Vec<String> = rows
        .iter()
        .flat_map(|row| remarks(row).into_iter().map(move |remark| (row, remark)))
        .map(|(row, remark)| {
            let first = format!("{}: ", row.name);
            page.wrap(&first, &remark, columns(&first))
        })
        .collect();
    if !remarks.is_empty() {
        lines.push(String::new());
        lines.extend(remarks);
    }
    lines.join("\n")
}

fn tone(state: State) -> Tone {
    match state {
        State::Current => Tone::Good,
        State::Absent | State::Orphan | State::Outdated | State::Stale => Tone::Warn,
        State::Failed => Tone::Bad,
        State::Stopped => Tone::Dim,
    }
}

/// What runs, as far as that is known: what was booted stands in for it.
fn runs(row: &Status) -> Option<&StorePath> {
    let active = row.unit.active.as_deref() == Some("active");
    row.runner.running.as_ref().or_else(|| row.runner.booted.as_ref().filter(|_| active))
}

fn path_cell(path: Option<&StorePath>) -> Cell {
    match path {
        Some(path) => Cell::new(path.as_str()).short(quantity::short(path)),
        None => Cell::new("-").tone(Tone::Dim),
    }
}

fn unit(row: &Status) -> Cell {
    let Some(active) = &row.unit.active else { return Cell::new("-").tone(Tone::Dim) };
    let sub = row.unit.sub.as_ref().map(|sub| format!("/{sub}")).unwrap_or_default();
    let text = clean_line(&format!("{active}{sub}"));
    let short = clean_line(row.unit.sub.as_ref().unwrap_or(active));
    match row.unit.restarts.filter(|count| *count > 0) {
        Some(count) => Cell::new(format!("{text}, {count} restarts")).short(short).tone(Tone::Warn),
        None => Cell::new(text).short(short),
    }
}

fn age(row: &Status) -> Cell {
    Cell::new(row.unit.age.map(quantity::age).unwrap_or_default()).right()
}

/// What does not fit into a row.
pub fn remarks(row: &Status) -> Vec<String> {
    let vm = &row.name;
    let mut remarks = Vec::new();
    let runner = &row.runner;
    match row.state {
        State::Absent => remarks.push(format!("not installed: `deployvm push {vm}` installs it")),
        State::Orphan => remarks.push(format!("not in the flake: `deployvm retire {vm}` removes it")),
        State::Failed => remarks.push(format!("`deployvm logs {vm}` says why it failed")),
        State::Stopped => remarks.extend(staged(row, "the next start boots")),
        State::Outdated | State::Stale => {
            let differs = runner.staged.is_some() && runner.staged.as_ref() != runs(row);
            remarks.extend(staged(row, "the next start, or crash, boots").filter(|_| differs));
        }
        State::Current => {}
    }
    if matches!(row.state, State::Outdated | State::Stopped) && runner.desired != runner.staged {
        remarks
            .extend(runner.desired.as_ref().map(|path| format!("the flake wants {}", quantity::short(path))));
    }
    let active = row.unit.active.as_deref() == Some("active");
    if active && runner.running.is_none() {
        remarks.push("what really runs cannot be told; shown is what was booted".to_owned());
    } else if active && runner.booted.is_some() && runner.booted != runner.running {
        remarks.extend(
            runner
                .booted
                .as_ref()
                .map(|path| format!("`booted` says {}, but that is not what runs", quantity::short(path))),
        );
    }
    if row.mode == Some(Mode::HostOwned) {
        remarks
            .push("the hypervisor's own configuration sets its runner at every boot and switch".to_owned());
    }
    remarks.extend(row.notes.iter().map(|note| harmless(note)));
    remarks
}

fn staged(row: &Status, when: &str) -> Option<String> {
    row.runner.staged.as_ref().map(|path| format!("{when} {}", quantity::short(path)))
}
