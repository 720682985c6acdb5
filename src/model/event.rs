//! What stages tell the reporter while they work: a closed list, no prose.

use serde::Serialize;

use super::backlog::Backlog;
use super::check::CheckResult;
use super::name::VmName;
use super::outcome::Outcome;

/// Something happened. In JSON: one object a line, `event` says which.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A phase of the command begins: `connect`, `evaluate`, `build`, `send` (derivations),
    /// `build-there` (on the hypervisor), `look`, `copy`, `switch`; `evaluate-host` and
    /// `switch-host` for the hypervisor's own system.
    Phase {
        /// Which.
        name: &'static str,
        /// How many things it has to do, if known.
        total: Option<u64>,
    },
    /// A phase ended. Only `connect`, `evaluate` and `evaluate-host` say so, because they go
    /// on beside others; the rest end where another begins.
    PhaseEnded {
        /// Which.
        name: &'static str,
        /// False when it failed.
        ok: bool,
    },
    /// One microVM is being evaluated.
    Evaluating {
        /// Which.
        vm: VmName,
    },
    /// One microVM was evaluated.
    Evaluated {
        /// Which.
        vm: VmName,
        /// False when Nix failed.
        ok: bool,
        /// From the cache, without starting Nix.
        cached: bool,
    },
    /// A derivation is being built.
    Building {
        /// Its name.
        derivation: String,
    },
    /// A line of a build log.
    BuildLog {
        /// The line, lossily decoded.
        line: String,
    },
    /// Progress of copying.
    Copying {
        /// Paths done.
        done: u64,
        /// Paths to send.
        total: u64,
        /// Bytes sent, where Nix tells.
        bytes: Option<u64>,
        /// Bytes to send, where known.
        total_bytes: Option<u64>,
    },
    /// A transaction went one step further.
    Step {
        /// Which microVM.
        vm: VmName,
        /// The step, a word of the transaction's own: `locked`, `stopping`, `stopped`,
        /// `flipped`, `started`, `booted`, `proven`, `waiting`, `decided`, `undoing`, `closed`.
        step: String,
        /// A word or number that belongs to it.
        detail: Option<String>,
    },
    /// A check ended.
    Checked {
        /// Which microVM.
        vm: VmName,
        /// How.
        check: CheckResult,
    },
    /// One microVM is done.
    Done {
        /// How.
        outcome: Outcome,
    },
    /// Something that the user should know now.
    Warning {
        /// In words.
        message: String,
    },
}

/// The channel to the reporter. Sending never fails: when nobody listens any more,
/// nobody needs to hear it.
#[derive(Debug, Clone)]
pub struct Events {
    to: tokio::sync::mpsc::UnboundedSender<Event>,
    backlog: Backlog,
}

impl Event {
    /// What is to be said where lines of build logs were left out, once.
    pub fn gap(backlog: &Backlog) -> Option<Self> {
        let lines = backlog.take_left_out();
        let message = format!("{lines} lines of build logs are left out: nobody has read for too long");
        (lines > 0).then_some(Self::Warning { message })
    }

    /// About how many bytes it takes while it waits to be said.
    pub fn weight(&self) -> usize {
        let text = match self {
            Self::BuildLog { line } => line.len(),
            Self::Warning { message } => message.len(),
            _ => 0,
        };
        text + size_of::<Self>()
    }
}

impl Events {
    /// A channel and its listening end.
    pub fn channel() -> (Self, tokio::sync::mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        (Self { to: sender, backlog: Backlog::default() }, receiver)
    }

    /// What was sent and is not yet said; who says it takes it off.
    pub fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    /// Says that something happened. Of build logs and of progress in copying only what
    /// somebody still reads: no work waits for its reader. What comes after a gap says so.
    pub fn send(&self, event: Event) {
        match &event {
            Event::BuildLog { .. } if self.backlog.is_shut() => return self.backlog.leave_out(),
            Event::Copying { .. } if self.backlog.is_shut() => return,
            _ => {}
        }
        for event in Event::gap(&self.backlog).into_iter().chain([event]) {
            self.backlog.add(event.weight());
            // A closed channel means that the reporter has ended; see above.
            let _ = self.to.send(event);
        }
    }

    /// Works, and says when that begins and how it ends: for a phase that may go on beside
    /// others. One that is given up, as at Ctrl-C, does not end.
    ///
    /// # Errors
    /// The work's own.
    pub async fn during<T, E>(
        &self,
        name: &'static str,
        total: Option<u64>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.send(Event::Phase { name, total });
        let result = work.await;
        self.send(Event::PhaseEnded { name, ok: result.is_ok() });
        result
    }
}
