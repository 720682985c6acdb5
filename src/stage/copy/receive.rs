//! The other end of a copy. What receives on the hypervisor carries the push's id, and a
//! script beside it ends whatever was left behind by a dead line, of this push or of any
//! other, and says whom the copying waits for.

use std::convert::Infallible;

use crate::error::clean_line;
use crate::host::{Host, clock, identity, script};
use crate::model::event::{Event, Events};
use crate::model::name::TransactionId;

/// Seconds in which nothing comes over a connection before it counts as dead. A client
/// that lives and hears nothing says something every five.
const SILENCE: u32 = 60;
/// From so many on it is told.
const WORTH_TELLING: u64 = 10;

/// Watches as long as it is polled, and tells what it hears. Without it copying goes on
/// as well: what is wrong with the connection, the copying will say.
pub(super) async fn watch(host: &Host, push: &TransactionId, events: &Events) -> Infallible {
    let since = clock::rfc3339(clock::unix_seconds());
    let who = format!("{} since {since}", identity::who().await);
    let listen = |line: &str| {
        if let Some(message) = waits(line) {
            events.send(Event::Warning { message });
        }
        false
    };
    let _ = host.sift(script::RECEIVE, &[push.to_string(), SILENCE.to_string(), who], listen).await;
    std::future::pending().await
}

/// `waits PID SILENT PUSH WHO`, as a sentence.
fn waits(line: &str) -> Option<String> {
    let mut words = line.strip_prefix("waits ")?.splitn(4, ' ');
    let (pid, silent, push) = (words.next()?, words.next()?, words.next()?);
    let who = clean_line(words.next().unwrap_or_default().trim());
    if push == "-" {
        return Some(format!(
            "copying waits for process {pid} ({who}) on the hypervisor, which holds a lock in its store"
        ));
    }
    let push: TransactionId = push.parse().ok()?;
    let who = if who.is_empty() { String::new() } else { format!(" ({who})") };
    let waits = format!("copying waits for push {push}{who}");
    Some(match silent.parse::<u64>().map(|ms| ms / 1000) {
        Ok(silent) if silent >= WORTH_TELLING => format!(
            "{waits}: its receiver holds the same path, has got nothing for {silent} s, and is ended at {SILENCE} s"
        ),
        _ => format!("{waits}, which is sending the same path"),
    })
}

#[cfg(test)]
mod tests {
    use super::waits;

    #[test]
    fn says_whom_it_waits_for() {
        let said: Vec<String> = [
            "waits 97 23456 20260102t030405z-12ab34 me@laptop since 2026-01-02T03:04:05Z",
            "waits 97 340 20260102t030405z-12ab34 me@laptop since 2026-01-02T03:04:05Z",
            "waits 97 - 20260102t030405z-12ab34 ",
            "waits 97 - - nix-\u{1b}[2Jstore",
            "beat",
            "waits",
            "waits 97 1 ../x me",
        ]
        .iter()
        .map(|line| waits(line).unwrap_or_else(|| "nothing".to_owned()))
        .collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        copying waits for push 20260102t030405z-12ab34 (me@laptop since 2026-01-02T03:04:05Z): its receiver holds the same path, has got nothing for 23 s, and is ended at 60 s
        copying waits for push 20260102t030405z-12ab34 (me@laptop since 2026-01-02T03:04:05Z), which is sending the same path
        copying waits for push 20260102t030405z-12ab34, which is sending the same path
        copying waits for process 97 (nix-store) on the hypervisor, which holds a lock in its store
        nothing
        nothing
        nothing
        ");
    }
}
