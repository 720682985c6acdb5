//! Ctrl-C, for everything that can simply be left.

use std::time::Duration;

use tokio::sync::watch;

use crate::error::{Aftermath, Result};

/// At Ctrl-C a terminal tells ssh as well while it connects, and that may end before we have
/// heard of it.
const A_MOMENT: Duration = Duration::from_millis(50);

/// Works until Ctrl-C; `None` when that came first. What is done by then is done.
pub async fn unless<T>(
    interrupted: &watch::Receiver<bool>,
    work: impl Future<Output = Result<T>>,
) -> Option<Result<T>> {
    let mut interrupted = interrupted.clone();
    if *interrupted.borrow() {
        return None;
    }
    let result = tokio::select! {
        biased;
        result = work => result,
        _ = interrupted.wait_for(|yes| *yes) => return None,
    };
    if result.as_ref().is_err_and(|failure| failure.aftermath == Aftermath::Unreachable)
        && let Ok(Ok(_)) = tokio::time::timeout(A_MOMENT, interrupted.wait_for(|yes| *yes)).await
    {
        return None;
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    fn failing(aftermath: Aftermath) -> Result<()> {
        Err(Failure::new(aftermath, "on purpose"))
    }

    #[tokio::test]
    async fn nothing_begins_after_ctrl_c() {
        let (_first, interrupted) = watch::channel(true);
        let work = async { unreachable!("it was begun") };
        assert_eq!(unless::<()>(&interrupted, work).await, None);
    }

    #[tokio::test]
    async fn what_is_under_way_is_left() {
        let (first, interrupted) = watch::channel(false);
        let work = async {
            first.send_replace(true);
            std::future::pending().await
        };
        assert_eq!(unless::<()>(&interrupted, work).await, None);
    }

    #[tokio::test]
    async fn what_is_done_is_done() {
        let (first, interrupted) = watch::channel(false);
        let work = async {
            first.send_replace(true);
            Ok(1)
        };
        assert_eq!(unless(&interrupted, work).await, Some(Ok(1)));
    }

    /// The terminal has told ssh as well, and the signal is heard after its end.
    #[tokio::test]
    async fn a_connection_that_ctrl_c_ended_is_no_failure() {
        for (aftermath, is_left) in [(Aftermath::Unreachable, true), (Aftermath::NotBuilt, false)] {
            let (first, interrupted) = watch::channel(false);
            let later = async {
                tokio::task::yield_now().await;
                first.send_replace(true);
            };
            let work = async { failing(aftermath) };
            let (left, ()) = tokio::join!(unless(&interrupted, work), later);
            assert_eq!(left.is_none(), is_left, "{aftermath:?}");
        }
    }

    #[tokio::test]
    async fn a_failure_of_its_own_stays_one() {
        let (_first, interrupted) = watch::channel(false);
        let left = unless(&interrupted, async { failing(Aftermath::Unreachable) }).await;
        assert_eq!(left, Some(failing(Aftermath::Unreachable)));
    }
}
