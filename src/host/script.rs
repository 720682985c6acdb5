//! The constant POSIX sh scripts that run on a hypervisor, how values reach them
//! and how their answers come back.
//!
//! The remote login shell, whichever it is, sees one constant command without
//! quotes: [`COMMAND`]. Script and values follow on stdin, each ended by a NUL, and
//! xargs hands them to sh as arguments, so that no value is ever part of a text
//! that a shell parses. How answers come back: [`Reply`].

use std::time::Duration;

use super::process::Limits;
pub use super::reply::Reply;
use crate::error::{Aftermath, Failure, Result};
use crate::model::argv::Argv;

/// What the remote login shell is asked to run. `-x` together with `-n` makes xargs
/// refuse too much input instead of starting sh twice, the second time with a value
/// in the place of the script; [`Script::input`] keeps far below both limits anyway.
pub const COMMAND: &str = "xargs -0 -x -n 4000 sh -c";

/// Limits of one call, far enough below those of xargs (128 KiB, `-n 4000`).
const MOST_ARGS: usize = 3000;
const MOST_BYTES: usize = 120_000;

const INPUT_END: &str = "deployvm-input-end";

/// Most bytes of an answer: the end of a ledger and all that a look finds are far below.
pub const MOST_ANSWER: usize = 16 << 20;
/// Longest time for an answer: the slowest line carries a ledger in it, and the slowest
/// disk lists a closure.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where transactions are ended, guests may have to be shut down and started again.
const LONG_PATIENCE: Duration = Duration::from_secs(1800);
/// Longest silence of a script that is followed: it says something every ten seconds.
const SILENCE: Duration = Duration::from_secs(90);

/// A journal is silent for as long as nothing happens; a dead line is noticed by ssh itself.
const ANY_SILENCE: Duration = Duration::from_secs(u32::MAX as u64);

/// How the first line ends of a script that says lines: the mark of its answer's beginning
/// has no line of its own.
pub const BEGUN: &str = "\0deployvm-begin\0beat";

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
    /// The hypervisor's own system and its generations.
    SYSTEM = "system";
    /// Facts that only `doctor` asks for.
    DOCTOR = "doctor";
    /// Lists closures that are there.
    CLOSURES = "closures";
    /// By which derivations store paths were made.
    DERIVERS = "derivers";
    /// The texts of derivations.
    DERIVATIONS = "derivations";
    /// Small files in store paths.
    TEXTS = "texts";
    /// What is known of earlier generations.
    RECALL = "recall";
    /// The sizes of closures.
    SIZES = "sizes";
    /// Which store paths are not there.
    MISSING = "missing";
    /// The end of the ledger.
    LEDGER = "ledger";
    /// Starts a transaction and follows it.
    BEGIN_TRANSACTION = "begin" + "follow";
    /// Follows a transaction that was started before.
    FOLLOW = "follow";
    /// Reads the journal of units.
    JOURNAL = "journal";
    /// Keeps a generation from prune.
    PIN = "pin";
    /// Lists old generations, and drops them.
    PRUNE = "retention" + "prune";
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
    /// Says that the laptop lives.
    BEAT = "beat";
    /// Ends what a reboot left open.
    CLOSE = "close";
    /// Holds paths that will be copied.
    PEND = "pend";
    /// Lets them go.
    UNPEND = "unpend";
    /// Watches over a copy.
    RECEIVE = "receive";
    /// Builds derivations there.
    BUILD = "build";
    /// Stops that.
    ABANDON = "abandon";
}

/// Parts of a transaction, each a name and a content.
pub type Parts = &'static [(&'static str, &'static str)];

/// What lies in the directory of every transaction.
pub const SHARED_PARTS: Parts = &[
    ("library.sh", include_str!("scripts/library.sh")),
    ("trial.sh", include_str!("scripts/trial.sh")),
    ("machine.sh", include_str!("scripts/machine.sh")),
    ("generations.sh", include_str!("scripts/generations.sh")),
    ("checks.sh", include_str!("scripts/checks.sh")),
    ("record.sh", include_str!("scripts/record.sh")),
    ("probe.sh", include_str!("scripts/probe.sh")),
];

const SWITCH: (&str, &str) = ("switch.sh", include_str!("scripts/switch.sh"));

/// Besides, in that of a push or a rollback.
pub const SWITCH_PARTS: Parts = &[
    ("transaction.sh", include_str!("scripts/transaction.sh")),
    SWITCH,
    ("undo.sh", include_str!("scripts/undo.sh")),
];

/// In that of what undoes nothing: start, stop, restart, retire.
pub const POWER_PARTS: Parts = &[("transaction.sh", include_str!("scripts/power.sh")), SWITCH];

/// In that of a VM on somebody's terminal.
pub const RUN_PARTS: Parts = &[
    ("transaction.sh", include_str!("scripts/foreground.sh")),
    ("attach.sh", include_str!("scripts/attach.sh")),
    SWITCH,
];

/// In that of the hypervisor's own system.
pub const HOST_PARTS: Parts = &[
    ("transaction.sh", include_str!("scripts/host.sh")),
    ("guests.sh", include_str!("scripts/guests.sh")),
    ("activate.sh", include_str!("scripts/activate.sh")),
];

impl Script {
    /// What its answer may be.
    pub fn limits(&self) -> Limits {
        let patience = if *self == CLOSE { LONG_PATIENCE } else { PATIENCE };
        Limits { bytes: MOST_ANSWER, whole: Some(patience), silence: patience }
    }

    /// The same where it says lines for as long as something takes.
    pub fn limits_followed(&self) -> Limits {
        let silence = if *self == JOURNAL { ANY_SILENCE } else { SILENCE };
        Limits { bytes: MOST_ANSWER, whole: None, silence }
    }

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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
