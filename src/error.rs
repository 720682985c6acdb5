//! The one error type: what happened, to which VM, on which host, what state
//! things are in now, the last lines of the failing program, and what to type
//! next. The exit code says the same to scripts (`docs/exit-codes.md`).

use std::fmt;

/// What state a failure leaves things in; its number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Aftermath {
    /// 1: our bug, met before anything was touched; or an answer that could not be written.
    Bug = 1,
    /// 2: usage, settings or inventory invalid.
    Usage = 2,
    /// 10: evaluation or build failed; nothing touched.
    NotBuilt = 10,
    /// 11: the host cannot be reached or used; nothing touched.
    Unreachable = 11,
    /// 12: refused; nothing touched.
    Refused = 12,
    /// 13: not reached, because the line stopped before it.
    NotReached = 13,
    /// 20: only the store was touched.
    StoreOnly = 20,
    /// 30: activation failed and what was there before is back.
    Restored = 30,
    /// 31: checks failed and what was there before is back.
    RestoredAfterChecks = 31,
    /// 32: failed and left as it is.
    Left = 32,
    /// 40: unknown; look at the machine.
    Unknown = 40,
    /// 130: declined or interrupted; no VM touched.
    Declined = 130,
}

impl Aftermath {
    /// The exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The one with this exit code.
    pub fn of(code: u8) -> Option<Self> {
        const ALL: [Aftermath; 12] = [
            Aftermath::Bug,
            Aftermath::Usage,
            Aftermath::NotBuilt,
            Aftermath::Unreachable,
            Aftermath::Refused,
            Aftermath::NotReached,
            Aftermath::StoreOnly,
            Aftermath::Restored,
            Aftermath::RestoredAfterChecks,
            Aftermath::Left,
            Aftermath::Unknown,
            Aftermath::Declined,
        ];
        ALL.into_iter().find(|aftermath| aftermath.code() == code)
    }

    /// What state things are in, in words; `None` where that goes without saying.
    pub fn state(self) -> Option<&'static str> {
        match self {
            Self::Bug | Self::Usage => None,
            Self::NotBuilt | Self::Unreachable | Self::Refused => {
                Some("nothing was changed on the hypervisor")
            }
            Self::NotReached => Some("the rest was not reached"),
            Self::StoreOnly => Some("no VM was touched; some store paths may have been copied"),
            Self::Restored | Self::RestoredAfterChecks => Some("what ran before is running again"),
            Self::Left => Some("it was left as it is"),
            Self::Unknown => Some("the state is not known: look at the hypervisor"),
            Self::Declined => Some("no VM was touched"),
        }
    }
}

/// A failure that a user reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened: one sentence, lower case, no full stop.
    pub message: String,
    /// The state that it leaves.
    pub aftermath: Aftermath,
    /// Last lines of the failing program, as they came.
    pub output: Vec<String>,
    /// What to do or type next.
    pub help: Option<String>,
    /// Whether something was sent to the hypervisor's store before it happened.
    pub sent: bool,
    /// Whether the same command has had outcomes before, which its summary tells.
    pub later: bool,
}

/// The result of everything that can fail in front of a user.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure without output and help.
    pub fn new(aftermath: Aftermath, message: impl Into<String>) -> Self {
        Self {
            message: without_secrets(&message.into()),
            aftermath,
            output: Vec::new(),
            help: None,
            sent: false,
            later: false,
        }
    }

    /// Wrong usage, settings or inventory.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Aftermath::Usage, message)
    }

    /// Something that must not happen.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Aftermath::Bug, message)
            .help("this is a bug in deployvm: please report it with the command you typed")
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(without_secrets(&help.into()));
        self
    }

    /// Adds the last lines of the failing program: at most 30, without control characters.
    #[must_use]
    pub fn output(mut self, text: &str) -> Self {
        self.output = last_lines(text, 30);
        self
    }

    /// Says that the hypervisor's store was touched before.
    #[must_use]
    pub fn sent(mut self) -> Self {
        self.sent = true;
        self
    }

    /// Says that the same command has had outcomes before.
    #[must_use]
    pub fn later(mut self) -> Self {
        self.later = true;
        self
    }

    /// What state things are in, in words; `None` where that goes without saying.
    pub fn state(&self) -> Option<&'static str> {
        use Aftermath::{Declined, NotBuilt, Refused, StoreOnly, Unreachable};
        Some(match (self.aftermath, self.later, self.sent) {
            (NotBuilt | Unreachable | Refused, false, true) => {
                "no VM was touched; derivations were sent to the hypervisor's store"
            }
            (NotBuilt | Unreachable | Refused, true, true) => {
                "no more VMs were touched; derivations were sent to the hypervisor's store; the summary says \
                 what was done before"
            }
            (NotBuilt | Unreachable | Refused, true, false) => {
                "nothing more was changed on the hypervisor; the summary says what was done before"
            }
            (StoreOnly, true, _) => {
                "no more VMs were touched; some store paths may have been copied; the summary says what was \
                 done before"
            }
            (Declined, true, _) => "no more VMs were touched; the summary says what was done before",
            (other, ..) => return other.state(),
        })
    }

    /// The same failure with another aftermath.
    #[must_use]
    pub fn after(mut self, aftermath: Aftermath) -> Self {
        self.aftermath = aftermath;
        self
    }
}

/// The last `most` non-empty lines of foreign text, with control characters and
/// colour sequences taken out, each cut at 400 characters.
pub fn last_lines(text: &str, most: usize) -> Vec<String> {
    let lines: Vec<String> = text.lines().map(clean_line).filter(|l| !l.trim().is_empty()).collect();
    lines.into_iter().rev().take(most).rev().collect()
}

/// Takes out of every URL in a text what its user information may hold: passwords and
/// tokens. A bare user stays where it is the name of an account, as with ssh.
pub fn without_secrets(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let ends = |c: char| matches!(c, '/' | '?' | '#' | '\'' | '"' | '<' | '>') || c.is_whitespace();
        let authority = after.split(ends).next().unwrap_or_default();
        rest = after;
        if let Some((information, _)) = authority.rsplit_once('@') {
            rest = after.get(information.len() + 1..).unwrap_or_default();
            let scheme = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).next();
            if scheme.is_some_and(|scheme| scheme.contains("ssh")) {
                clean.push_str(information.split(':').next().unwrap_or_default());
                clean.push('@');
            }
        }
    }
    clean.push_str(rest);
    clean
}

/// One line of foreign text, safe to print on a terminal and to keep.
pub fn clean_line(line: &str) -> String {
    let line = without_secrets(line);
    let mut clean = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // A control sequence: skip to its final byte.
            if chars.peek() == Some(&'[') {
                chars.next();
                for c in chars.by_ref() {
                    if ('@'..='~').contains(&c) {
                        break;
                    }
                }
            }
        } else if c == '\t' {
            clean.push(' ');
        } else if !drives(c) {
            clean.push(c);
        }
        if clean.len() >= 400 {
            break;
        }
    }
    clean
}

/// Whether a character does something else than being shown: control characters, and those
/// that turn the direction of writing, so that a text reads otherwise than it is.
pub fn drives(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_no_secrets() {
        for (text, shown) in [
            ("cannot fetch 'git+https://me:tok@h/x?ref=a'", "cannot fetch 'git+https://h/x?ref=a'"),
            ("https://ghp_tok@h.org", "https://h.org"),
            ("https://a:t@k@h/x and http://b:c@i", "https://h/x and http://i"),
            ("git+ssh://git@h/x, ssh://me:tok@h", "git+ssh://git@h/x, ssh://me@h"),
            (
                "https://h/user@x ssh-ng://deploy@10.0.0.1 :// @",
                "https://h/user@x ssh-ng://deploy@10.0.0.1 :// @",
            ),
        ] {
            assert_eq!(without_secrets(text), shown);
            assert_eq!(clean_line(text), shown);
            assert_eq!(Failure::usage(text).help(text).message, shown);
        }
    }

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(clean_line("\u{1b}[31;1mred\u{1b}[0m\u{7}\tx"), "red x");
        assert_eq!(clean_line("a\u{202e}b\u{2066}\u{200f}c"), "abc");
        assert_eq!(last_lines("a\n\n\u{1b}[2Jb\nc\n", 2), ["b", "c"]);
    }
}
