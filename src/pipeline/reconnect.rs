//! Connecting again after the line was lost: the hypervisor goes on by itself, so all
//! that is needed is to ask again. Ctrl-C is heard here, too.

use std::time::Duration;

use tokio::sync::watch;

use crate::error::{Failure, Result};
use crate::host::{Host, clock};
use crate::model::address::Address;
use crate::model::event::{Event, Events};

/// Ways to a hypervisor.
#[derive(Debug, Clone, Copy)]
pub struct Ways<'a> {
    /// The first connection: later ones become root in the same manner.
    pub first: &'a Host,
    /// Where it was found.
    pub address: &'a Address,
    /// Where it can be reached when the change has moved it (`--confirm-from`).
    pub moved: Option<&'a Address>,
}

impl Ways<'_> {
    /// Connects by the first way that there is.
    ///
    /// # Errors
    /// Exit 11, as for the last one.
    pub async fn connect(self) -> Result<Host> {
        match (self.first.anew(self.address).await, self.moved) {
            (Err(_), Some(moved)) => self.first.anew(moved).await,
            (result, _) => result,
        }
    }

    /// Connects, again and again until it can be done. Every reason why not is said once.
    pub async fn connect_whenever(self, events: &Events) -> Host {
        let mut said = String::new();
        loop {
            match self.connect().await {
                Ok(host) => return host,
                Err(failure) if failure.message != said => {
                    let message = format!("{}: trying again; Ctrl-C ends", failure.message);
                    events.send(Event::Warning { message });
                    said = failure.message;
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Connects, again and again until `patience` is over. What Ctrl-C means meanwhile is
    /// said once, and the caller acts on it when there is a connection.
    ///
    /// # Errors
    /// Exit 11 when it stays unreachable.
    pub async fn connect_again(
        self,
        patience: Duration,
        interrupted: &mut watch::Receiver<bool>,
        events: &Events,
    ) -> Result<Host> {
        let began = clock::moment();
        let mut heard = *interrupted.borrow();
        let connecting = async {
            loop {
                match self.connect().await {
                    Ok(host) => return Ok(host),
                    Err(failure) if began.elapsed() >= patience => return Err::<Host, Failure>(failure),
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            }
        };
        let mut connecting = std::pin::pin!(connecting);
        loop {
            tokio::select! {
                result = &mut connecting => return result,
                Ok(_) = interrupted.wait_for(|yes| *yes), if !heard => {
                    heard = true;
                    let message = "interrupted, but the hypervisor cannot be asked now: without our word it \
                                   undoes by itself; still connecting, and Ctrl-C again leaves at once";
                    events.send(Event::Warning { message: message.to_owned() });
                }
            }
        }
    }
}
