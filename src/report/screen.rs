//! A terminal's other screen, on which a text is drawn again and again in place. What was
//! on the terminal before is there again once it is left.

use super::page::cut;
use super::stream::Stream;

/// The other screen, and no cursor on it; and back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// To its corner; the rest of a line away; the rest of all lines away.
const HOME: &str = "\u{1b}[H";
const END_LINE: &str = "\u{1b}[K";
const END: &str = "\u{1b}[J";

/// Whether it is shown.
#[derive(Debug, Default)]
pub(super) struct Screen {
    shown: bool,
}

/// A text with the size of what it is drawn on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drawing {
    pub text: String,
    pub width: usize,
    pub height: usize,
}

impl Screen {
    /// Draws in the place of what was drawn before, without a moment of emptiness.
    pub fn draw(&mut self, drawing: &Drawing, to: &mut Stream) {
        let enter = if self.shown { "" } else { ENTER };
        self.shown = true;
        to.raw(&format!("{enter}{HOME}{}", fitted(drawing)));
    }

    /// Goes back to what was there before.
    pub fn leave(&mut self, to: &mut Stream) {
        if std::mem::take(&mut self.shown) {
            to.raw(LEAVE);
        }
    }
}

/// As many lines as there is room for; the last one says what has none.
fn fitted(drawing: &Drawing) -> String {
    let all: Vec<&str> = drawing.text.lines().collect();
    let room = drawing.height.max(2);
    let mut lines: Vec<String> = all.iter().take(room).map(|line| cut(line, drawing.width)).collect();
    if all.len() > room {
        lines.truncate(room - 1);
        lines.push(cut(&format!("… {} more lines", all.len() + 1 - room), drawing.width));
    }
    // A warning that comes meanwhile begins a line of its own.
    let rest = if lines.len() < room { "\r\n" } else { "" };
    let lines: Vec<String> = lines.iter().map(|line| format!("{line}{END_LINE}")).collect();
    format!("{}{rest}{END}", lines.join("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let drawing = |text: &str| Drawing { text: text.to_owned(), width: 9, height: 3 };
        let drawn =
            |text: &str| fitted(&drawing(text)).replace(END_LINE, "|").replace(END, ".").replace('\r', "");
        assert_eq!(drawn("a\nb"), "a|\nb|\n.");
        assert_eq!(drawn("a\nb\nc"), "a|\nb|\nc|.");
        assert_eq!(drawn("a long line\nb\nc\nd"), "a long l…|\nb|\n… 2 more…|.");
    }
}
