//! Following a transaction to its recorded outcome, through lost connections: the
//! hypervisor goes on by itself, so all that is needed is to ask again.

use std::time::Duration;

use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, clock};
use crate::model::address::Address;
use crate::model::name::TransactionId;
use crate::stage::observe;
use crate::stage::switch::{self, Ended, Line};

/// Asks a transaction's outcome over new connections, again and again for at most
/// `patience`. The first `told` of its events were handed over before.
///
/// # Errors
/// Exit 40 when it stays unreachable: nobody here knows how it ended.
pub async fn follow_again(
    lost: &Host,
    address: &Address,
    id: &TransactionId,
    patience: Duration,
    mut told: usize,
    mut on_event: impl FnMut(Line),
) -> Result<Ended> {
    let began = clock::moment();
    loop {
        let mut heard = 0;
        let fresh = |line: Line| {
            heard += 1;
            if heard > told {
                told = heard;
                on_event(line);
            }
        };
        let attempt = async {
            let host = lost.anew(address).await?;
            // After a reboot nobody works on it any more: it would have no outcome, ever.
            observe::close_open(&host).await?;
            let left = patience.saturating_sub(began.elapsed()).max(Duration::from_secs(1));
            let ended = tokio::time::timeout(left, switch::resume(&host, id, fresh)).await;
            host.close().await;
            ended.unwrap_or_else(|_| Err(Failure::new(Aftermath::Unknown, "it has not ended yet")))
        };
        match attempt.await {
            Ok(ended) => return Ok(ended),
            Err(failure) if began.elapsed() >= patience => {
                return Err(Failure::new(
                    Aftermath::Unknown,
                    format!("the connection was lost during the switch {id}, and {address} cannot be asked how it ended"),
                )
                .output(&failure.message)
                .help("the hypervisor finishes or undoes it by itself; look with: deployvm status; deployvm history"));
            }
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}
