//! What tells a command to stop: Ctrl-C, and what a terminal that closes or a service
//! manager sends.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// All of them.
pub struct Signals {
    signals: Vec<(SignalKind, Signal)>,
    heard: Heard,
}

impl Signals {
    /// Listens from now on. Where a closed terminal shall not matter (`nohup`), it does not.
    pub fn listen() -> Self {
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        if !ignored(SignalKind::hangup()) {
            kinds.push(SignalKind::hangup());
        }
        // What cannot be listened to keeps its usual effect.
        let signals = kinds.into_iter().filter_map(|kind| Some((kind, signal(kind).ok()?))).collect();
        Self { signals, heard: Heard::default() }
    }

    /// Waits for the next that counts.
    pub async fn next(&mut self) {
        let Self { signals, heard } = self;
        std::future::poll_fn(|context| {
            for (kind, signal) in signals.iter_mut() {
                while signal.poll_recv(context).is_ready() {
                    if heard.counts(*kind) {
                        return std::task::Poll::Ready(());
                    }
                }
            }
            std::task::Poll::Pending
        })
        .await;
    }
}

/// What came before.
#[derive(Default)]
struct Heard {
    hangup: bool,
}

impl Heard {
    /// Whether a signal says something new. A terminal closes once, but where the shell is
    /// zsh or fish that is told twice: by the shell and by the kernel.
    fn counts(&mut self, kind: SignalKind) -> bool {
        kind != SignalKind::hangup() || !std::mem::replace(&mut self.hangup, true)
    }
}

/// Whether we were started with this signal ignored; `false` where nobody can tell
/// (systems without `/proc`).
fn ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    in_mask(&status, kind.as_raw_value())
}

/// The line that begins with `SigIgn:`, such as that with `0000000000000001`.
fn in_mask(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    let bit = u32::try_from(number - 1).unwrap_or_default();
    mask.checked_shr(bit).unwrap_or_default() & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_mask() {
        let nohup = "Name:\tx\nSigIgn:\t0000000000001001\n";
        assert!(in_mask(nohup, 1) && !in_mask(nohup, 2) && in_mask(nohup, 13));
        assert!(!in_mask("", 1));
    }

    #[test]
    fn a_terminal_closes_once() {
        let (hangup, interrupt, terminate) =
            (SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate());
        let counts = |kinds: &[SignalKind]| {
            let mut heard = Heard::default();
            kinds.iter().filter(|kind| heard.counts(**kind)).count()
        };
        assert_eq!(counts(&[hangup, hangup, hangup]), 1);
        assert_eq!(counts(&[hangup, hangup, interrupt]), 2);
        assert_eq!(counts(&[hangup, terminate]), 2);
        assert_eq!(counts(&[interrupt, hangup]), 2);
        assert_eq!(counts(&[interrupt, interrupt]), 2);
    }
}
