//! The constant POSIX sh scripts that run on a hypervisor, how values reach them
//! and how their answers come back.
//!
//! The remote login shell, whichever it is, sees one constant command without
//! quotes: [`COMMAND`]. Script and values follow on stdin, each ended by a NUL, and
//! xargs hands them to sh as arguments, so that no value is ever part of a text
//! that a shell parses. Answers are NUL-ended fields between two marks, so that
//! banners of login shells and torn output are noticed.

use crate::error::{Aftermath, Failure, Result};
use crate::model::argv::Argv;

/// What the remote login shell is asked to run. `-x` together with `-n` makes xargs
/// refuse too much input instead of starting sh twice, the second time with a value
/// in the place of the script; [`Script::input`] keeps far below both limits anyway.
pub const COMMAND: &str = "xargs -0 -x -n 4000 sh -c";

/// Limits of one call, far enough below those of xargs (128 KiB, `-n 4000`).
const MOST_ARGS: usize = 3000;
const MOST_BYTES: usize = 120_000;

const BEGIN: &[u8] = b"deployvm-begin\0";
const INPUT_END: &str = "deployvm-input-end";
const END: &[u8] = b"deployvm-end\0";

/// One of the constant scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Its file name without ending, which is also its `$0`.
    pub name: &'static str,
    parts: &'static [&'static str],
}

const PRELUDE: &str = include_str!("scripts/prelude.sh");

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $first:literal $(+ $more:literal)*;)*) => {
        $($(#[$doc])*
        pub const $name: Script = Script {
            name: $first,
            parts: &[
                PRELUDE,
                include_str!(concat!("scripts/", $first, ".sh")),
                $(include_str!(concat!("scripts/", $more, ".sh")),)*
            ],
        };)*
    };
}

scripts! {
    /// All remote state in one look.
    OBSERVE = "observe";
    /// Lists closures that are there.
    CLOSURES = "closures";
    /// What is known of earlier generations.
    RECALL = "recall";
    /// The sizes of closures.
    SIZES = "sizes";
    /// The end of the ledger.
    LEDGER = "ledger";
    /// Starts a transaction and follows it.
    BEGIN_TRANSACTION = "begin" + "follow";
    /// Follows a transaction that was started before.
    FOLLOW = "follow";
    /// Keeps a generation from prune.
    PIN = "pin";
    /// Says that the laptop's positive checks have passed.
    AGREE = "agree";
    /// Which programs checks need and a machine lacks.
    NEEDS = "needs";
    /// Finds a program that reaches guests over vsock.
    VSOCK = "vsock";
    /// Who works on VMs now.
    LOCKS = "locks";
    /// Hands in a verdict.
    DECIDE = "decide";
    /// Ends what a reboot left open.
    CLOSE = "close";
    /// Holds paths that will be copied.
    PEND = "pend";
    /// Lets them go.
    UNPEND = "unpend";
    /// Builds derivations there.
    BUILD = "build";
    /// Stops that.
    ABANDON = "abandon";
}

/// The files of a transaction that are the same for all: name and content.
pub const TRANSACTION_FILES: &[(&str, &str)] = &[
    ("transaction.sh", include_str!("scripts/transaction.sh")),
    ("library.sh", include_str!("scripts/library.sh")),
    ("switch.sh", include_str!("scripts/switch.sh")),
    ("undo.sh", include_str!("scripts/undo.sh")),
    ("record.sh", include_str!("scripts/record.sh")),
    ("probe.sh", include_str!("scripts/probe.sh")),
];

/// The same for what undoes nothing: start, stop, restart, retire.
pub const POWER_FILES: &[(&str, &str)] = &[
    ("transaction.sh", include_str!("scripts/power.sh")),
    ("library.sh", include_str!("scripts/library.sh")),
    ("switch.sh", include_str!("scripts/switch.sh")),
    ("record.sh", include_str!("scripts/record.sh")),
    ("probe.sh", include_str!("scripts/probe.sh")),
];

impl Script {
    /// What goes to the stdin of [`COMMAND`].
    ///
    /// # Errors
    /// When a value has a NUL, or all of it is more than one call can carry.
    pub fn input(&self, args: &[String]) -> Result<Vec<u8>> {
        let mut input = Vec::new();
        for part in self.parts {
            input.extend_from_slice(part.as_bytes());
            input.push(b'\n');
        }
        input.push(0);
        input.extend_from_slice(self.name.as_bytes());
        input.push(0);
        let count = (args.len() + 1).to_string();
        let all = std::iter::once(count.as_str()).chain(args.iter().map(String::as_str)).chain([INPUT_END]);
        for arg in all {
            if arg.contains('\0') {
                return Err(Failure::bug(format!("a value for the script {} has a NUL", self.name)));
            }
            input.extend_from_slice(arg.as_bytes());
            input.push(0);
        }
        if args.len() > MOST_ARGS || input.len() > MOST_BYTES {
            return Err(Failure::new(
                Aftermath::Refused,
                format!("too much for one remote call: {} values, {} bytes", args.len(), input.len()),
            )
            .help("name fewer VMs or fewer checks at a time"));
        }
        Ok(input)
    }
}

/// What the input of [`COMMAND`] asks for, on this machine: without xargs, because that
/// of macOS drops empty values in spite of `-0`, and the next one takes their place.
pub fn here(input: &[u8]) -> Argv {
    let ended = input.strip_suffix(&[0]).unwrap_or(input);
    Argv::new("sh").arg("-c").args(ended.split(|b| *b == 0).map(text))
}

/// What a script answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The exit code that it states itself.
    pub code: u32,
    /// Its fields, lossily decoded.
    pub fields: Vec<String>,
    /// The lines that came before the fields, up to a line with a dot.
    pub lines: Vec<String>,
}

impl Reply {
    /// Takes an answer apart; `None` when it is not whole.
    pub fn parse(stdout: &[u8]) -> Option<Self> {
        Self::take_apart(stdout, false)
    }

    /// The same for a script that first says lines, and then a dot alone on one.
    pub fn parse_followed(stdout: &[u8]) -> Option<Self> {
        Self::take_apart(stdout, true)
    }

    fn take_apart(stdout: &[u8], followed: bool) -> Option<Self> {
        let start = find(stdout, BEGIN)? + BEGIN.len();
        let body = stdout.get(start..)?;
        let end = rfind(body, END)?;
        let code = body.get(end + END.len()..)?.split(|b| *b == 0).next()?;
        let code = std::str::from_utf8(code).ok()?.parse().ok()?;
        let mut body = body.get(..end)?;
        let mut lines = Vec::new();
        if let Some(dot) = find(body, b"\n.\n").filter(|_| followed) {
            lines = text(body.get(..dot)?).lines().map(str::to_owned).collect();
            body = body.get(dot + 3..)?;
        } else if let Some(rest) = body.strip_prefix(b".\n").filter(|_| followed) {
            body = rest;
        }
        let mut fields: Vec<String> = body.split(|b| *b == 0).map(text).collect();
        // Every field is ended, not separated, by a NUL.
        fields.pop();
        Some(Self { code, fields, lines })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn rfind(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_banner_before_and_a_cut_after_are_noticed() {
        let whole = b"Welcome!\n\n\0deployvm-begin\0a\0b c\0deployvm-end\x000\0";
        let reply = Reply::parse(whole).unwrap();
        assert_eq!((reply.code, reply.fields), (0, vec!["a".to_owned(), "b c".to_owned()]));
        assert_eq!(Reply::parse(&whole[..30]), None);
        assert_eq!(Reply::parse(b"bash: xargs: command not found"), None);
    }

    #[test]
    fn lines_come_before_fields() {
        let reply =
            Reply::parse_followed(b"\0deployvm-begin\0step locked \nstep x\n.\nout\0deployvm-end\x0066\0")
                .unwrap();
        assert_eq!(reply.lines, ["step locked ", "step x"]);
        assert_eq!((reply.code, reply.fields), (66, vec!["out".to_owned()]));
    }

    #[test]
    fn empty_values_stay_where_they_are() {
        let args = ["", "a b", ""].map(str::to_owned);
        let argv = here(&UNPEND.input(&args).unwrap());
        assert_eq!((argv.program.as_str(), argv.args[0].as_str()), ("sh", "-c"));
        assert!(argv.args[1].starts_with("# prelude.sh"));
        assert_eq!(argv.args[2..], ["unpend", "4", "", "a b", "", INPUT_END]);
    }

    #[test]
    fn refuses_what_xargs_would_split() {
        assert!(OBSERVE.input(&vec!["x".to_owned(); MOST_ARGS + 1]).is_err());
        assert!(OBSERVE.input(&["x".repeat(MOST_BYTES)]).is_err());
        assert!(OBSERVE.input(&["a\0b".to_owned()]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reply::parse(&bytes);
        }

        #[test]
        fn fields_survive(fields in proptest::collection::vec("[^\0]{0,20}", 0..8)) {
            let mut bytes = b"rc file says hello\n\0deployvm-begin\0".to_vec();
            for f in &fields { bytes.extend_from_slice(f.as_bytes()); bytes.push(0); }
            bytes.extend_from_slice(b"deployvm-end\x000\0");
            prop_assert_eq!(Reply::parse(&bytes).unwrap().fields, fields);
        }
    }
}
