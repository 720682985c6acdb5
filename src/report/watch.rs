//! The text of `status --watch` on a terminal: the table, and around it what only who
//! watches must know.

use super::page::{Page, Tone, harmless};
use super::status;
use crate::model::status::Status;

/// One look of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Nothing was shown before.
    pub first: bool,
    /// Seconds between two of them.
    pub seconds: u32,
    /// What there is to know besides.
    pub remarks: Vec<String>,
    /// The same was said before.
    pub repeated: bool,
}

impl Round {
    /// The whole text, without a newline at its end. `time` is that of the look.
    pub(super) fn text(&self, rows: &[Status], time: &str, page: Page) -> String {
        let head = format!("{time} UTC, every {} s until Ctrl-C", self.seconds);
        let mut text = format!("{}\n\n{}", page.paint(Tone::Dim, &head), status::text(rows, false, page));
        for remark in &self.remarks {
            text.push('\n');
            text.push_str(&page.wrap("warning: ", &harmless(remark), 2));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_around_the_table() {
        let remarks = vec!["a switch was interrupted".to_owned()];
        let round = Round { seconds: 5, remarks, ..Round::default() };
        insta::assert_snapshot!(round.text(&[], "12:34:56", Page::PLAIN), @"
        12:34:56 UTC, every 5 s until Ctrl-C

        no microVMs
        warning: a switch was interrupted
        ");
    }
}
