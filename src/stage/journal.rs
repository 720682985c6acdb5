//! Reads a hypervisor's journal: what is there, and what comes. Lines are handed over as
//! they arrive and are not kept.

use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, clock, script};
use crate::model::event::{Event, Events};
use crate::model::log::LogLine;
pub use crate::tool::journal::Query;
use crate::tool::journal::{Entry, complaint};

/// How far a journal has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The cursor of the last entry that was handed over, or else of the one before all that
    /// is still to come. Empty before anything.
    cursor: String,
}

/// Who hears the lines.
pub type Tell<'a> = &'a mut dyn FnMut(LogLine);

/// What is there, oldest first. The place is right at any time, also after a failure.
///
/// # Errors
/// Exit 2 when journalctl does not understand what it is asked, 11 when the hypervisor
/// cannot be asked.
pub async fn read(
    host: &Host,
    query: &Query,
    place: &mut Place,
    events: &Events,
    tell: Tell<'_>,
) -> Result<()> {
    let last = run(host, query, query.read(), place, events, tell).await?;
    if place.cursor.is_empty() {
        place.cursor = last;
    }
    Ok(())
}

/// What has come after the place, and what comes, for as long as there is a connection.
///
/// # Errors
/// Always in the end: exit 11 when the connection was lost or journalctl was ended, 2 when
/// it does not understand.
pub async fn follow(
    host: &Host,
    query: &Query,
    place: &mut Place,
    events: &Events,
    tell: Tell<'_>,
) -> Result<()> {
    // The hypervisor may have been rebooted since, and following begins with this boot.
    run(host, query, query.catch_up(&place.cursor), place, events, tell).await?;
    run(host, query, query.follow(&place.cursor), place, events, tell).await?;
    Err(Failure::new(Aftermath::Unreachable, "journalctl was ended on the hypervisor"))
}

impl Place {
    /// Whether anything was read.
    pub fn is_known(&self) -> bool {
        !self.cursor.is_empty()
    }
}

async fn run(
    host: &Host,
    query: &Query,
    args: Vec<String>,
    place: &mut Place,
    events: &Events,
    tell: Tell<'_>,
) -> Result<String> {
    let (mut begun, mut warned) = (false, false);
    // What was handed over before comes once more, as the first.
    let mut known = place.cursor.clone();
    let reply = host.sift(script::JOURNAL, &args, |line| {
        if !begun {
            // Whatever a login shell says comes before.
            begun = line.ends_with(script::BEGUN);
            return true;
        }
        if !line.starts_with('{') {
            return true;
        }
        match query.entry(line) {
            Some(entry) if entry.cursor == known => {}
            Some(entry) => {
                place.cursor.clone_from(&entry.cursor);
                tell(log_line(entry));
            }
            None if !warned => {
                warned = true;
                let message = "a line of the journal cannot be read, and is left out".to_owned();
                events.send(Event::Warning { message });
            }
            None => {}
        }
        known.clear();
        false
    });
    let reply = reply.await?;
    let [last, said] = reply.fields.as_slice() else { return Ok(String::new()) };
    match complaint(said) {
        None => Ok(last.clone()),
        Some(said) => Err(Failure::usage("the hypervisor's journalctl does not do this").output(&said).help(
            "times are those that logs prints, spans such as 10m, or what journalctl takes (man systemd.time); \
             --grep takes a regular expression (man pcre2pattern)",
        )),
    }
}

fn log_line(entry: Entry) -> LogLine {
    LogLine {
        vm: entry.vm,
        unit: entry.unit,
        speaker: entry.speaker,
        time: clock::rfc3339_micros(entry.micros),
        message: entry.message,
    }
}
