//! A microVM on this terminal. The hypervisor runs it there and puts its unit back,
//! whatever becomes of us; we only lend the terminal, and say that we live.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::aftercare;
use super::deploy::outcome_of;
use super::power::{Errand, Ready, explain};
use super::reconnect::Ways;
use super::{Context, Target};
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, identity, terminal};
use crate::model::event::Event;
use crate::model::inventory::FlakeFacts;
use crate::model::outcome::Outcome;
use crate::model::plan::Move;
use crate::stage::foreground::{PULSE, attach, beat, gone};
use crate::stage::switch::{self, Ended, Facts, Line, OnTrial};
use crate::stage::{copy, observe};

/// Longest time to ask again how it ended when the line was lost: the guest is shut down
/// and started once more.
const PATIENCE: Duration = Duration::from_secs(300);

/// Refuses where nobody could see or type anything.
///
/// # Errors
/// 2 without a terminal.
pub fn demand_terminal() -> Result<()> {
    if terminal::is_attended() {
        return Ok(());
    }
    Err(Failure::usage("there is no terminal that the VM could run on").help(
        "type it on a terminal, with neither stdin nor stdout redirected; to read what the VM says: \
         deployvm console VM",
    ))
}

/// Runs it. `hush` is awaited before the terminal is lent.
///
/// # Errors
/// 12 when it could not be begun, 40 when nobody knows how it ended.
pub async fn run(
    context: &Context,
    errand: &Errand<'_>,
    ready: &Ready,
    movement: Move,
    hush: impl AsyncFn(),
) -> Result<Outcome> {
    let vm = movement.vm.clone();
    let (from, to) = (movement.from.clone(), movement.to.clone());
    let host = &ready.looked.host;
    let who = identity::who().await;
    let facts = Facts { verb: "run", who, flake: FlakeFacts::default(), keep_failed: false };
    let copied = copy::already_there(vec![movement]).pop();
    let copied = copied.ok_or_else(|| Failure::bug("a move was lost"))?;
    let trial = OnTrial::new(copied, &facts)?;
    context.footprint.begins(&vm);
    let (ended, fresh) = match sitting(context, host, &trial, hush).await {
        Err(failure) if failure.aftermath == Aftermath::Unreachable => {
            let message = format!("{vm}: the connection was lost; asking how it ended");
            context.events.send(Event::Warning { message });
            let (ended, fresh) = again(context, &errand.target, host, &trial).await?;
            (ended, Some(fresh))
        }
        ended => (ended?, None),
    };
    let host = fresh.as_ref().unwrap_or(host);
    context.footprint.tells(&trial.transaction.to_string());
    let mut outcome = outcome_of(&trial, ended, Vec::new());
    (outcome.from, outcome.to) = (from, Some(to));
    outcome.transaction = Some(trial.transaction.to_string());
    explain(&mut outcome, errand.power, "");
    aftercare::complete(host, &mut outcome).await;
    context.footprint.ends(&vm, outcome.exit);
    // That it was heard only spares the next command a remark.
    let _ = copy::settle(host, None, &context.footprint.heard()).await;
    if let Some(fresh) = fresh {
        fresh.close().await;
    }
    Ok(outcome)
}

/// Follows the transaction from its beginning to its end, and lends the terminal meanwhile.
async fn sitting(context: &Context, host: &Host, trial: &OnTrial, hush: impl AsyncFn()) -> Result<Ended> {
    let id = &trial.transaction;
    let argv = attach(host, id).ok_or_else(|| {
        Failure::new(Aftermath::Refused, "this login is root only for deployvm's scripts, not on a terminal")
            .help("log in as a user who may run sh as root there, such as root")
    })?;
    let (ready, is_ready) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let vm = &trial.movement.vm;
    let (lent, is_lent) = watch::channel(false);
    let over = AtomicBool::new(false);
    let tell = |line: Line| {
        let Line::Step(word, detail) = line else { return };
        if word == "ready" {
            ready.send_replace(true);
        } else if !*is_lent.borrow() {
            // While the terminal is lent, it is the guest's.
            context.events.send(Event::Step { vm: vm.clone(), step: word, detail });
        }
    };
    let lending = async {
        let mut is_ready = is_ready.clone();
        // It may be over before it is ready.
        if is_ready.wait_for(|yes| *yes).await.is_err() || over.load(Ordering::Relaxed) {
            return;
        }
        if !falls_silent(hush(), stopped.clone()).await {
            // Or it would wait for a terminal, with the VM's lock, for a minute.
            let _ = gone(host, id).await;
            return;
        }
        lent.send_replace(true);
        // Its exit code says only how ssh ended; the transaction says all.
        let _ = terminal::hand_over(&argv, stopped.clone()).await;
        lent.send_replace(false);
        // Where it was never taken, nobody waits for it. Who cannot be told notices.
        let _ = gone(host, id).await;
    };
    let interrupted = async {
        let mut interrupted = context.interrupted.clone();
        if interrupted.wait_for(|yes| *yes).await.is_ok() {
            stop.send_replace(true);
        }
        std::future::pending::<Infallible>().await
    };
    let beating = async || -> Infallible {
        let mut number = 0;
        loop {
            // What cannot be told is noticed by following.
            let _ = beat(host, id, number).await;
            number += 1;
            tokio::time::sleep(PULSE).await;
        }
    };
    let following = async {
        let ended = switch::start(host, trial, tell).await;
        over.store(true, Ordering::Relaxed);
        // Whoever still waits for a terminal waits for nothing.
        stop.send_replace(true);
        ready.send_replace(true);
        ended
    };
    tokio::select! {
        // The terminal is put in order by the program that has it.
        (ended, ()) = async { tokio::join!(following, lending) } => ended,
        never = interrupted => match never {},
        never = beating() => match never {},
    }
}

/// Waits until nobody else speaks on the terminal, which takes as long as nobody reads;
/// false when the terminal is not wanted any more.
async fn falls_silent(hush: impl Future<Output = ()>, mut stopped: watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        Ok(_) = stopped.wait_for(|yes| *yes) => false,
        () = hush => true,
    }
}

/// Asks over a new connection, which is kept.
async fn again(context: &Context, target: &Target, first: &Host, trial: &OnTrial) -> Result<(Ended, Host)> {
    let ways = Ways { first, address: &target.address, moved: None };
    let mut interrupted = context.interrupted.clone();
    let asking = async {
        let host = ways.connect_again(PATIENCE, &mut interrupted, &context.events).await?;
        observe::close_open(&host).await?;
        let ended = switch::resume(&host, &trial.transaction, |_| ()).await?;
        Ok((ended, host))
    };
    asking.await.map_err(|failure: Failure| {
        let vm = &trial.movement.vm;
        let message = format!(
            "the connection was lost, and {} cannot be asked how it ended ({failure})",
            target.address
        );
        Failure::new(Aftermath::Unknown, message).help(format!(
            "the hypervisor puts the unit back by itself; look with: deployvm status {vm}; deployvm history {vm}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_terminal_that_nobody_reads_is_given_up_at_ctrl_c() {
        let (stop, stopped) = watch::channel(false);
        assert!(falls_silent(std::future::ready(()), stopped.clone()).await);
        let stalled = async {
            stop.send_replace(true);
            std::future::pending().await
        };
        assert!(!falls_silent(stalled, stopped.clone()).await);
        assert!(!falls_silent(std::future::ready(()), stopped).await, "it was not wanted from the beginning");
    }
}
