//! What a text is written on: how wide it is and whether it takes colours. All
//! measuring, cutting, wrapping and painting of text happens here.

use anstyle::{AnsiColor, Style};
use console::{measure_text_width, truncate_str};

use crate::error::drives;

/// Holds two words together when a text is wrapped, such as a number and its unit.
pub const NO_BREAK: char = '\u{a0}';

/// Where a text goes. Nothing here looks at the real terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Columns; `None` where nothing may be cut, such as in a file.
    pub width: Option<usize>,
    /// Whether colours are wanted.
    pub colour: bool,
}

/// What a text means; the colour follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Well, or added.
    Good,
    /// Failed, or removed.
    Bad,
    /// To be looked at.
    Warn,
    /// Of little interest.
    Dim,
    /// The name of the thing.
    Strong,
}

impl Tone {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Good => colour(AnsiColor::Green),
            Self::Bad => colour(AnsiColor::Red),
            Self::Warn => colour(AnsiColor::Yellow),
            Self::Dim => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
        }
    }
}

impl Page {
    /// A page that cuts nothing and knows no colours.
    pub const PLAIN: Self = Self { width: None, colour: false };

    /// The text in the colour of its tone, if there are colours.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || tone == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }

    /// The text in one of six colours, if there are colours: things that have the same
    /// number look alike, and mean nothing by it.
    pub fn tint(self, number: usize, text: &str) -> String {
        use AnsiColor::{Blue, Cyan, Green, Magenta, Red, Yellow};
        let all = [Cyan, Yellow, Green, Magenta, Blue, Red];
        match all.get(number % all.len()) {
            Some(colour) if self.colour => {
                let style = Style::new().fg_color(Some((*colour).into()));
                format!("{style}{text}{style:#}")
            }
            _ => text.to_owned(),
        }
    }

    /// The text in the colour of its tone, line by line: a colour that goes on over
    /// the end of a line would also paint the indent of the next.
    pub fn paint_lines(self, tone: Tone, text: &str) -> String {
        let one = |line: &str| {
            let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
            format!("{indent}{}", self.paint(tone, rest))
        };
        text.lines().map(one).collect::<Vec<_>>().join("\n")
    }

    /// The line, with `…` at its end if it was too long.
    pub fn cut(self, line: &str) -> String {
        match self.width {
            Some(width) => cut(line, width),
            None => line.to_owned(),
        }
    }

    /// Words in lines that fit; every line but the first begins with `indent`
    /// spaces. Words are never broken, and no line is begun within backticks or a command,
    /// so that it can be copied. A no-break space ([`NO_BREAK`]) holds two words
    /// together and becomes a plain one.
    pub fn wrap(self, first: &str, text: &str, indent: usize) -> String {
        let Some(width) = self.width else { return format!("{first}{text}").replace(NO_BREAK, " ") };
        let mut lines = vec![first.to_owned()];
        let mut used = measure_text_width(first);
        let mut fresh = true;
        for word in words(&commands_held(text)) {
            let wide = measure_text_width(&word);
            if !fresh && used + 1 + wide > width {
                lines.push(" ".repeat(indent));
                (used, fresh) = (indent, true);
            }
            if let Some(line) = lines.last_mut() {
                if !fresh {
                    line.push(' ');
                }
                line.push_str(&word);
            }
            used += wide + usize::from(!fresh);
            fresh = false;
        }
        lines.join("\n").replace(NO_BREAK, " ")
    }
}

/// The text, with `…` at its end if it has more than `width` columns.
pub fn cut(text: &str, width: usize) -> String {
    truncate_str(text, width, "…").into_owned()
}

/// Columns that a text takes on a terminal, colours not counted.
pub fn columns(text: &str) -> usize {
    measure_text_width(text)
}

/// A sentence of our own, in which foreign names may stand: whole, but without
/// anything that could drive a terminal. Foreign lines go through
/// [`crate::error::clean_line`], which also cuts them.
pub fn harmless(text: &str) -> String {
    let text = console::strip_ansi_codes(text);
    let blank = |c: char| if matches!(c, '\t' | '\n') { ' ' } else { c };
    text.chars().map(blank).filter(|c| !drives(*c)).collect()
}

/// What a command begins with.
const PROGRAMS: [&str; 9] =
    ["deployvm", "getent", "git", "nix", "nix-env", "ssh", "ssh-keygen", "ssh-keyscan", "systemctl"];

/// The line with every command in one piece: what follows a colon and begins with a
/// program, up to a semicolon. Where it has no room behind its text, it gets a line of its
/// own.
fn commands_held(line: &str) -> String {
    let held = line.split("; ").map(|part| {
        let command = part.match_indices(": ").map(|(at, _)| at + 2).find(|at| {
            let program = part[*at..].split(' ').next().unwrap_or_default();
            PROGRAMS.contains(&program)
        });
        match command.map(|at| part.split_at(at)) {
            Some((before, command)) => format!("{before}{}", command.replace(' ', &NO_BREAK.to_string())),
            None => part.to_owned(),
        }
    });
    held.collect::<Vec<_>>().join("; ")
}

/// Words, where a text within backticks is one word.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    for word in text.split_ascii_whitespace() {
        match words.last_mut() {
            Some(last) if quoted => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        quoted ^= word.matches('`').count() % 2 == 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NARROW: Page = Page { width: Some(20), colour: false };

    #[test]
    fn wraps_between_words_and_keeps_commands_whole() {
        assert_eq!(
            NARROW.wrap("note: ", "one two three four five", 6),
            "note: one two three\n      four five"
        );
        assert_eq!(NARROW.wrap("", "type `deployvm push vm1 --start` again", 0), {
            "type\n`deployvm push vm1 --start`\nagain"
        });
        assert_eq!(Page::PLAIN.wrap("x: ", "a b\u{a0}c", 3), "x: a b c");
        assert_eq!(NARROW.wrap("", "closure grows by +40\u{a0}B", 2), "closure grows by\n  +40 B");
    }

    #[test]
    fn cuts_by_columns_and_leaves_no_colour_open() {
        let page = Page { width: Some(4), colour: true };
        assert_eq!(page.cut(&page.paint(Tone::Good, "日本語")), "\u{1b}[32m日…\u{1b}[0m");
        assert_eq!(columns("日本"), 4);
        assert_eq!(Page::PLAIN.paint(Tone::Bad, "x"), "x");
    }

    #[test]
    fn a_sentence_stays_whole_but_harmless() {
        let long = format!("{}\u{1b}[31m\u{7}\u{9b}b\tc\n", "a".repeat(1000));
        assert_eq!(harmless(&long), format!("{}b c ", "a".repeat(1000)));
    }

    proptest! {
        #[test]
        fn no_wrapped_line_is_too_wide(text in "([a-zé]{1,12} ?){0,12}", indent in 0_usize..8) {
            for line in NARROW.wrap("", &text, indent).lines() {
                prop_assert!(columns(line) <= 20 || !line.trim().contains(' '));
            }
        }
    }
}
