//! Journals of microVMs: what is there, and what comes. A connection that is lost while
//! they are followed is made anew, and reading goes on where it ended: nothing is lost, and
//! nothing comes twice.

use std::collections::BTreeMap;
use std::time::Duration;

use super::past::{Looked, open};
use super::reconnect::Ways;
use super::{Context, Target};
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, clock};
use crate::model::event::Event;
use crate::model::name::{VmName, Word};
use crate::plan::select;
use crate::stage::journal::{self, Place, Query, Tell};

/// A connection that ends within this time each time it is made is of no use.
const USELESS: Duration = Duration::from_secs(5);
/// So often in a row.
const MOST_USELESS: u32 = 5;

/// What is to be read.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// From this time on, in journalctl's words.
    pub since: Option<String>,
    /// Up to this time.
    pub until: Option<String>,
    /// What messages match.
    pub grep: Option<String>,
    /// So many of the newest of what is there.
    pub lines: Option<u32>,
    /// Also what comes.
    pub follow: bool,
}

/// Journals that are about to be read.
#[derive(Debug)]
pub struct Journals {
    /// Whose.
    pub vms: Vec<VmName>,
    host: Host,
    query: Query,
}

/// Finds the microVMs, without their flake. Those of which only the ledger is left may be
/// named, too.
///
/// # Errors
/// 2 for a word that means no VM there, 11 when the hypervisor cannot be reached.
pub async fn of(
    context: &Context,
    target: &Target,
    typed: &[String],
    tags: &BTreeMap<VmName, Vec<Word>>,
) -> Result<Journals> {
    let looked = open(context, target).await?;
    let vms = match typed {
        [] => looked.observed.vms.keys().cloned().collect(),
        typed => select::among(typed, &looked.known(), tags)?,
    };
    if vms.is_empty() {
        // Asked for no unit, journalctl would show all of them.
        return Err(Failure::usage(format!("{} has no microVM", target.name))
            .help("name one that it had; `deployvm history` knows them"));
    }
    let query = Query::all_of(&vms);
    Ok(Journals { vms, host: looked.host, query })
}

/// Finds the console of one microVM: what its unit's process has written since it started.
///
/// # Errors
/// 2 for a VM that is not there, 12 when it was not started, 11 when the hypervisor cannot be
/// reached.
pub async fn console(context: &Context, target: &Target, vm: &VmName) -> Result<Journals> {
    let Looked { host, observed } = open(context, target).await?;
    let Some(found) = observed.vms.get(vm) else {
        return Err(select::unknown(vm.as_str(), &observed.vms.keys().cloned().collect()));
    };
    let invocation = &found.unit.invocation;
    if invocation.is_empty() || !invocation.bytes().all(|b| b.is_ascii_hexdigit()) {
        let help = format!("what it said before: deployvm logs {vm}; to start it: deployvm start {vm}");
        return Err(Failure::new(Aftermath::Refused, format!("{vm} is not running")).help(help));
    }
    let query = Query::console_of(vm, invocation);
    Ok(Journals { vms: vec![vm.clone()], host, query })
}

impl Journals {
    /// Reads them. When they are followed, this ends by a failure only.
    ///
    /// # Errors
    /// 2 when the hypervisor's journalctl does not understand the range, 11 when the
    /// hypervisor cannot be asked.
    pub async fn read(self, context: &Context, target: &Target, range: Range, tell: Tell<'_>) -> Result<()> {
        let Self { mut host, mut query, .. } = self;
        query.since = range.since.unwrap_or_default();
        query.until = range.until.unwrap_or_default();
        query.grep = range.grep.unwrap_or_default();
        query.lines = range.lines;
        let events = &context.events;
        let (mut place, mut is_read, mut useless) = (Place::default(), false, 0);
        loop {
            let began = clock::moment();
            // Once a line was shown, all that is left comes after it.
            let ended = if is_read || place.is_known() {
                journal::follow(&host, &query, &mut place, events, tell).await
            } else {
                let read = journal::read(&host, &query, &mut place, events, tell).await;
                is_read = read.is_ok();
                if is_read && range.follow {
                    continue;
                }
                read
            };
            useless = if began.elapsed() < USELESS { useless + 1 } else { 0 };
            match ended {
                Err(failure) if range.follow && is_lost(&failure) && useless < MOST_USELESS => {
                    let message = "the connection was lost: connecting again".to_owned();
                    events.send(Event::Warning { message });
                    let ways = Ways { first: &host, address: &target.address, moved: None };
                    host = ways.connect_whenever(events).await;
                    let message = "connected again: going on after the last line".to_owned();
                    events.send(Event::Warning { message });
                }
                ended => {
                    host.close().await;
                    return ended;
                }
            }
        }
    }
}

fn is_lost(failure: &Failure) -> bool {
    failure.aftermath == Aftermath::Unreachable
}
