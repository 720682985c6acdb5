//! What we speak into: which of the three streams are terminals, how wide, whether
//! this is CI, and the time of day for plain output. The only file of this room
//! that looks at the world.

use std::io::IsTerminal;

use super::ci::{self, Forge};
use super::page::Page;
use super::{ColourChoice, Speech};

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Terminal {
    /// Somebody can type.
    pub stdin: bool,
    /// Somebody reads the result.
    pub stdout: bool,
    /// Somebody reads the progress.
    pub stderr: bool,
    /// Columns, if one of the two is a terminal.
    pub width: Option<usize>,
    /// `NO_COLOR` is set, to anything but nothing (<https://no-color.org>).
    pub no_colour: bool,
    /// It cannot move its cursor.
    pub dumb: bool,
    /// This is CI, where a log is read later, and nobody can type.
    pub ci: bool,
    /// Whose.
    pub forge: Option<Forge>,
}

impl Terminal {
    /// Looks at the streams and the environment of this process.
    pub fn look() -> Self {
        let set = |name: &str| {
            let value = std::env::var_os(name).unwrap_or_default();
            !value.is_empty() && value != "0" && value != "false"
        };
        let forge = ci::forge(|name| std::env::var_os(name)?.into_string().ok());
        let size =
            || console::Term::stderr().size_checked().or_else(|| console::Term::stdout().size_checked());
        Self {
            stdin: std::io::stdin().is_terminal(),
            stdout: std::io::stdout().is_terminal(),
            stderr: std::io::stderr().is_terminal(),
            width: size().map(|(_, columns)| usize::from(columns)).filter(|columns| *columns > 0),
            no_colour: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            dumb: std::env::var_os("TERM").is_none_or(|value| value.is_empty() || value == "dumb"),
            ci: forge.is_some() || ["CI", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD"].into_iter().any(set),
            forge,
        }
    }

    /// The page that the result is written on.
    pub fn result_page(self, speech: Speech) -> Page {
        self.page(self.stdout, speech)
    }

    /// The page that progress and errors are written on.
    pub fn progress_page(self, speech: Speech) -> Page {
        self.page(self.stderr, speech)
    }

    /// Whether progress may move in place.
    pub fn can_animate(self) -> bool {
        self.stderr && !self.dumb && !self.ci
    }

    /// Columns and lines of what the result can be drawn on in place.
    pub fn screen(self) -> Option<(usize, usize)> {
        if !self.stdout || self.dumb || self.ci {
            return None;
        }
        let (lines, columns) = console::Term::stdout().size_checked()?;
        Some((usize::from(columns), usize::from(lines)))
    }

    /// Whether somebody can be asked: they must see the question, too. A pipeline may have
    /// a terminal, and nobody at it.
    pub fn can_ask(self) -> bool {
        self.stdin && self.stderr && !self.ci
    }

    fn page(self, is_terminal: bool, speech: Speech) -> Page {
        let colour = match speech.colour {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto => is_terminal && !self.no_colour && !self.dumb,
        };
        Page { width: self.width.filter(|_| is_terminal), colour }
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "report knows no host, and the time of speaking is its own")]
pub(super) fn seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map(|d| d.as_secs()).unwrap_or_default()
}

/// The time of day in UTC, `HH:MM:SS`.
pub(super) fn time_of_day() -> String {
    let seconds = seconds() % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_the_flag_then_no_color_then_the_stream() {
        let terminal = Terminal { stdout: true, width: Some(100), ..Terminal::default() };
        let page = |terminal: Terminal, colour| terminal.result_page(Speech { colour, ..Speech::default() });
        assert_eq!(page(terminal, ColourChoice::Auto), Page { width: Some(100), colour: true });
        assert!(!page(terminal, ColourChoice::Never).colour);
        let no_colour = Terminal { no_colour: true, ..terminal };
        assert!(!page(no_colour, ColourChoice::Auto).colour);
        assert!(page(no_colour, ColourChoice::Always).colour);
        let piped = Terminal { stdout: false, ..terminal };
        assert_eq!(page(piped, ColourChoice::Auto), Page::PLAIN);
    }

    #[test]
    fn ci_and_pipes_get_lines() {
        let terminal = Terminal { stderr: true, stdin: true, ..Terminal::default() };
        assert!(terminal.can_animate() && terminal.can_ask());
        let ci = Terminal { ci: true, ..terminal };
        assert!(!ci.can_animate() && !ci.can_ask());
        assert!(!Terminal { dumb: true, ..terminal }.can_animate());
        assert!(!Terminal { stdin: false, ..terminal }.can_ask());
    }
}
