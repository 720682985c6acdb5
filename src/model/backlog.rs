//! What was said and is not yet written: who reads may be slow, or not read at all. The
//! work goes on all the same, so this is what keeps the memory bounded.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;

/// Bytes from which on lines of build logs are left out, and journals are not read on.
const MOST: usize = 8 << 20;

/// Counts it, for all who speak and the one who writes.
#[derive(Debug, Clone)]
pub struct Backlog(Arc<watch::Sender<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    bytes: usize,
    /// From [`MOST`] down to its half: otherwise a slow reader would be told of a gap after
    /// every line.
    shut: bool,
    left_out: u64,
}

impl Default for Backlog {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Waiting::default())))
    }
}

impl Backlog {
    /// So many bytes were said.
    pub fn add(&self, bytes: usize) {
        self.0.send_modify(|waiting| {
            waiting.bytes = waiting.bytes.saturating_add(bytes);
            waiting.shut |= waiting.bytes >= MOST;
        });
    }

    /// So many bytes are written now.
    pub fn remove(&self, bytes: usize) {
        self.0.send_modify(|waiting| {
            waiting.bytes = waiting.bytes.saturating_sub(bytes);
            waiting.shut &= waiting.bytes >= MOST / 2;
        });
    }

    /// Whether what can wait should.
    fn is_full(&self) -> bool {
        self.0.borrow().bytes >= MOST
    }

    /// Whether what can be left out should be.
    pub fn is_shut(&self) -> bool {
        self.0.borrow().shut
    }

    /// A line was left out.
    pub fn leave_out(&self) {
        self.0.send_modify(|waiting| waiting.left_out += 1);
    }

    /// How many lines were left out since this was asked last.
    pub fn take_left_out(&self) -> u64 {
        let mut count = 0;
        self.0.send_if_modified(|waiting| {
            count = std::mem::take(&mut waiting.left_out);
            false
        });
        count
    }

    /// Works, but no faster than what it says is written: for work that nothing depends on
    /// but who reads. The work must give others their turn now and then.
    pub async fn pace<T>(&self, work: impl Future<Output = T>) -> T {
        let (mut work, mut waiting) = (pin!(work), self.0.subscribe());
        loop {
            // It cannot fail: the sender is ours.
            let _ = waiting.wait_for(|waiting| waiting.bytes < MOST).await;
            let turn = std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if self.is_full() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            if let Some(done) = turn.await {
                return done;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn paced_work_waits_for_who_writes() {
        let (backlog, said) = (Backlog::default(), AtomicUsize::new(0));
        let line = MOST / 4;
        let work = backlog.pace(async {
            for _ in 0..10 {
                backlog.add(line);
                said.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let mut work = pin!(work);
        let said = || said.load(Ordering::Relaxed);
        for expected in [4, 6, 8] {
            // Polled often enough to end, it would.
            for _ in 0..20 {
                assert!(is_pending(work.as_mut()).await);
            }
            assert_eq!(said(), expected);
            backlog.remove(2 * line);
        }
        backlog.remove(MOST / 2);
        work.await;
        assert_eq!(said(), 10);
    }

    async fn is_pending(mut work: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_pending())).await
    }

    #[test]
    fn what_was_left_out_is_counted_once() {
        let backlog = Backlog::default();
        backlog.add(MOST);
        assert!(backlog.is_shut());
        backlog.leave_out();
        backlog.leave_out();
        assert_eq!((backlog.take_left_out(), backlog.take_left_out()), (2, 0));
    }

    #[test]
    fn it_opens_again_at_half() {
        let backlog = Backlog::default();
        backlog.add(MOST - 1);
        assert!(!backlog.is_shut());
        backlog.add(1);
        backlog.remove(MOST / 2);
        assert!(backlog.is_shut() && !backlog.is_full());
        backlog.remove(1);
        assert!(!backlog.is_shut());
        backlog.add(MOST / 2);
        assert!(!backlog.is_shut());
    }
}
