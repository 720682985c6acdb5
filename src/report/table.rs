//! A small table: aligned columns, at most as wide as its page, never a wrapped row.

use super::page::{Page, Tone, columns, cut};

/// Spaces between columns.
const GAP: &str = "  ";
/// No column is cut below this.
const NARROWEST: usize = 6;
/// Columns that have short forms give first, down to the prefix of a hash.
pub(super) const HASH: usize = 9;

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

/// How a column, known by its heading, makes room where the page has too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Give {
    /// It shows its short forms.
    Short(&'static str),
    /// It is cut, but never below so many columns.
    Cut(&'static str, usize),
    /// It is left out.
    Gone(&'static str),
}

/// The table. Columns in which every cell is empty are left out.
#[derive(Debug, Clone, Default)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
    gives: &'static [Give],
}

impl Table {
    /// A table with a heading for each column; none at all for a table without.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { header: header.map(str::to_owned).to_vec(), ..Self::default() }
    }

    /// What gives first where the page has too little room, what next, and so on; what is
    /// not named never does. Without it every text takes its short form, and then the
    /// widest column is cut.
    #[must_use]
    pub fn giving(mut self, gives: &'static [Give]) -> Self {
        self.gives = gives;
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, one line per row, without a newline at its end.
    pub fn render(&self, page: Page) -> String {
        let columns = self.fit(page);
        let header: Vec<Cell> = self.header.iter().map(|t| Cell::new(t.as_str()).tone(Tone::Dim)).collect();
        let header = (!header.is_empty()).then_some(&header);
        let lines = header.into_iter().chain(&self.rows).map(|row| {
            let shown = row.iter().zip(&columns).filter(|(_, column)| column.width > 0);
            let cells: Vec<String> = shown.map(|(cell, column)| render_cell(cell, *column, page)).collect();
            page.cut(cells.join(GAP).trim_end())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// How every column is shown.
    fn fit(&self, page: Page) -> Vec<Column> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut columns: Vec<Column> = (0..count).map(|at| self.column(at, false)).collect();
        let Some(most) = page.width.filter(|most| total(&columns) > *most) else { return columns };
        if self.gives.is_empty() {
            columns = (0..count).map(|at| self.column(at, true)).collect();
            self.squeeze(&mut columns, most);
        }
        for give in self.gives {
            let over = total(&columns).saturating_sub(most);
            let (Give::Short(name) | Give::Cut(name, _) | Give::Gone(name)) = *give;
            let at = self.header.iter().position(|text| text == name).filter(|_| over > 0);
            let Some((at, column)) = at.and_then(|at| Some((at, columns.get_mut(at)?))) else { continue };
            match *give {
                Give::Short(_) => *column = self.column(at, true),
                Give::Cut(_, least) => {
                    column.width = column.width.min(column.width.saturating_sub(over).max(least));
                }
                Give::Gone(_) => column.width = 0,
            }
        }
        columns
    }

    /// The widest column gives, the last one of equals; first those that have short forms.
    fn squeeze(&self, columns: &mut [Column], most: usize) {
        let elastic = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).any(|cell| cell.short.is_some())
        };
        while total(columns) > most {
            let gives = |least: usize, any: bool| {
                let wide = columns.iter().enumerate().filter(move |(_, column)| column.width > least);
                wide.filter(|(at, _)| any || elastic(*at)).max_by_key(|(_, c)| c.width).map(|(at, _)| at)
            };
            match gives(HASH, false).or_else(|| gives(NARROWEST, true)) {
                Some(at) => columns[at].width -= 1,
                None => break,
            }
        }
    }

    /// As wide as it would like to be.
    fn column(&self, at: usize, shortened: bool) -> Column {
        let cells = self.rows.iter().filter_map(|row| row.get(at));
        let widest = cells.map(|cell| columns(cell.shown(shortened))).max().unwrap_or(0);
        let header = self.header.get(at).map_or(0, |text| columns(text));
        Column { width: if widest == 0 { 0 } else { widest.max(header) }, shortened }
    }
}

/// How a column is shown: its width, 0 where it is left out, and whether long texts give
/// way to their short forms.
#[derive(Debug, Clone, Copy)]
struct Column {
    width: usize,
    shortened: bool,
}

fn total(columns: &[Column]) -> usize {
    let shown = columns.iter().filter(|column| column.width > 0).count();
    columns.iter().map(|column| column.width).sum::<usize>() + GAP.len() * shown.saturating_sub(1)
}

fn render_cell(cell: &Cell, column: Column, page: Page) -> String {
    let text = cut(cell.shown(column.shortened), column.width);
    let pad = " ".repeat(column.width.saturating_sub(columns(&text)));
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

    #[test]
    fn columns_give_in_the_order_that_is_asked_for() {
        const ORDER: &[Give] =
            &[Give::Short("RUNS"), Give::Cut("RUNS", HASH), Give::Gone("GEN"), Give::Cut("RUNS", 4)];
        let at = |width| sample().giving(ORDER).render(Page { width: Some(width), colour: false });
        insta::assert_snapshot!([at(40), at(22), at(20), at(12), at(5)].join("\n\n"), @r"
        NAME  GEN  RUNS
        vm1     3  01234567-microvm-qemu-vm1
        日本   12  -

        NAME  GEN  RUNS
        vm1     3  01234567-m…
        日本   12  -

        NAME  GEN  RUNS
        vm1     3  01234567…
        日本   12  -

        NAME  RUNS
        vm1   01234…
        日本  -

        NAME…
        vm1 …
        日本…
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
