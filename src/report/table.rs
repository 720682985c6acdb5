//! A small table: aligned columns, at most as wide as its page, never a wrapped row.

use super::page::{Page, Tone, columns, cut};

/// Spaces between columns.
const GAP: &str = "  ";
/// No column is cut below this.
const NARROWEST: usize = 6;
/// Columns that have short forms give first, down to the prefix of a hash.
const HASH: usize = 9;

/// One cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    short: Option<String>,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// A cell with this text, which must be one clean line.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// What to show where the whole text has no room.
    #[must_use]
    pub fn short(mut self, short: impl Into<String>) -> Self {
        self.short = Some(short.into());
        self
    }

    /// What it means.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// Aligned to the right, for numbers.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.right = true;
        self
    }

    fn shown(&self, shortened: bool) -> &str {
        self.short.as_deref().filter(|_| shortened).unwrap_or(&self.text)
    }
}

/// The table. Columns in which every cell is empty are left out.
#[derive(Debug, Clone, Default)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with a heading for each column; none at all for a table without.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { header: header.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, one line per row, without a newline at its end.
    pub fn render(&self, page: Page) -> String {
        let (widths, shortened) = self.fit(page);
        let header: Vec<Cell> = self.header.iter().map(|t| Cell::new(t.as_str()).tone(Tone::Dim)).collect();
        let header = (!header.is_empty()).then_some(&header);
        let lines = header.into_iter().chain(&self.rows).map(|row| {
            let shown = row.iter().zip(&widths).filter(|(_, width)| **width > 0);
            let cells: Vec<String> =
                shown.map(|(cell, width)| render_cell(cell, *width, shortened, page)).collect();
            page.cut(cells.join(GAP).trim_end())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The width of every column, 0 for one that is left out, and whether long
    /// texts have to give way to their short forms.
    fn fit(&self, page: Page) -> (Vec<usize>, bool) {
        let natural = self.widths(false);
        let Some(most) = page.width else { return (natural, false) };
        if total(&natural) <= most {
            return (natural, false);
        }
        let mut widths = self.widths(true);
        let elastic = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).any(|cell| cell.short.is_some())
        };
        while total(&widths) > most {
            // The widest column gives, the last one of equals.
            let gives = |least: usize, any: bool| {
                let wide = widths.iter().enumerate().filter(move |(_, width)| **width > least);
                wide.filter(|(at, _)| any || elastic(*at)).max_by_key(|(_, width)| **width).map(|(at, _)| at)
            };
            match gives(HASH, false).or_else(|| gives(NARROWEST, true)) {
                Some(at) => widths[at] -= 1,
                None => break,
            }
        }
        (widths, true)
    }

    fn widths(&self, shortened: bool) -> Vec<usize> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| columns(cell.shown(shortened))).max().unwrap_or(0);
            let header = self.header.get(column).map_or(0, |text| columns(text));
            if widest == 0 { 0 } else { widest.max(header) }
        };
        (0..count).map(width).collect()
    }
}

fn total(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|width| **width > 0).count();
    widths.iter().sum::<usize>() + GAP.len() * shown.saturating_sub(1)
}

fn render_cell(cell: &Cell, width: usize, shortened: bool, page: Page) -> String {
    let text = cut(cell.shown(shortened), width);
    let pad = " ".repeat(width.saturating_sub(columns(&text)));
    let text = page.paint(cell.tone, &text);
    if cell.right { format!("{pad}{text}") } else { format!("{text}{pad}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Table {
        let mut table = Table::new(["NAME", "GEN", "NOTHING", "RUNS"]);
        let path = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-microvm-qemu-vm1";
        let runs = || Cell::new(path).short("01234567-microvm-qemu-vm1");
        table.row([Cell::new("vm1"), Cell::new("3").right(), Cell::default(), runs()]);
        table.row([Cell::new("日本"), Cell::new("12").right(), Cell::default(), Cell::new("-")]);
        table
    }

    #[test]
    fn columns_align_by_what_a_terminal_shows() {
        insta::assert_snapshot!(sample().render(Page::PLAIN), @r"
        NAME  GEN  RUNS
        vm1     3  /nix/store/0123456789abcdfghijklmnpqrsvwxyz-microvm-qemu-vm1
        日本   12  -
        ");
        insta::assert_snapshot!(sample().render(Page { width: Some(30), colour: false }), @r"
        NAME  GEN  RUNS
        vm1     3  01234567-microvm-q…
        日本   12  -
        ");
    }

    proptest! {
        #[test]
        fn no_row_is_wider_than_the_page(
            rows in proptest::collection::vec(proptest::collection::vec("[a-z日é]{0,30}", 0..6), 0..5),
            width in 1_usize..60,
        ) {
            let mut table = Table::new(["A", "B"]);
            let count = rows.len();
            rows.into_iter().for_each(|row| table.row(row.into_iter().map(Cell::new)));
            let text = table.render(Page { width: Some(width), colour: false });
            prop_assert_eq!(text.split('\n').count(), count + 1);
            prop_assert!(text.split('\n').all(|line| columns(line) <= width));
        }
    }
}
