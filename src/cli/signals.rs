//! What tells a command to stop: Ctrl-C, and what a terminal that closes or a service
//! manager sends.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// All of them.
pub struct Signals(Vec<Signal>);

impl Signals {
    /// Listens from now on. Where a closed terminal shall not matter (`nohup`), it does not.
    pub fn listen() -> Self {
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        if !ignored(SignalKind::hangup()) {
            kinds.push(SignalKind::hangup());
        }
        // What cannot be listened to keeps its usual effect.
        Self(kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect())
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let came = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
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
}
