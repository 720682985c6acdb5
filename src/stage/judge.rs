//! The laptop's part of a verdict: its own checks while a VM is on trial, and handing
//! the verdict in over a connection that is made just for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::error::{Aftermath, Failure, Result};
use crate::host::probe::{self, Way};
use crate::host::script::{self, Reply};
use crate::host::{Host, clock};
use crate::model::address::Address;
use crate::model::check::{Check, CheckResult, Expect};
use crate::model::event::{Event, Events};
use crate::model::name::TransactionId;
use crate::model::plan::Move;

/// What the laptop thinks of a VM on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Commit,
    /// A check of the laptop's failed.
    CheckFailed,
    /// The same, but the user wants it left as it is.
    KeepFailed,
    /// The user pressed Ctrl-C.
    Interrupted,
}

impl Verdict {
    /// The word that the transaction records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit.laptop",
            Self::CheckFailed => "undo.laptop-check-failed",
            Self::KeepFailed => "keep.laptop-check-failed",
            Self::Interrupted => "undo.interrupted",
        }
    }
}

/// How a check fared just before anything was touched: `None` where nothing ran, or where
/// nobody could ask.
pub type Before = Vec<Option<bool>>;

/// How often an excusable check is asked before it counts as one that failed before, and
/// the time in between: about three seconds in all. `checks.sh` does the same.
const LOOKS: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(1500);

/// Asks the laptop's and the guest's checks before anything is touched: for the excuse of
/// interface.md, and to know what must pass again after an undo.
pub async fn before(movement: &Move, way: &Way) -> Before {
    let checks: Vec<&Check> = movement.elsewhere().collect();
    if !movement.running {
        return checks.iter().map(|_| None).collect();
    }
    let turn = Arc::new(Turn::default());
    let look = |check: Check, way: Way, turn: Arc<Turn>| async move { turn.look(&check, &way).await };
    together(checks, |check| look(check, way.clone(), turn.clone()), |_, _| ()).await
}

/// Runs those of the laptop's and the guest's checks that expect `wanted`, all at once,
/// until each holds or its time is over; each result goes to `results` as it comes. All
/// of them `ok` or excused means good. Once one has failed, the others end soon, too.
pub async fn checks(
    movement: &Move,
    wanted: Expect,
    way: &Way,
    before: &Before,
    events: &Events,
    results: &mut Vec<CheckResult>,
) {
    let chosen: Vec<(&Check, bool)> = movement
        .elsewhere()
        .enumerate()
        .filter(|(_, check)| check.expect == wanted)
        .map(|(i, check)| (check, check.excusable && before.get(i) == Some(&Some(false))))
        .collect();
    let excused: Vec<bool> = chosen.iter().map(|(_, excused)| *excused).collect();
    let turn = Arc::new(Turn::default());
    let attempt = |check: Check, way: Way, turn: Arc<Turn>| async move { turn.attempt(&check, &way).await };
    together(
        chosen.into_iter().map(|(check, _)| check).collect(),
        |check| attempt(check, way.clone(), turn.clone()),
        |index, result: &CheckResult| {
            let mut result = result.clone();
            if !result.ok && excused.get(index) == Some(&true) {
                result.note = Some("failing-before".to_owned());
            }
            if !is_good(&result) {
                turn.over.store(true, Ordering::Relaxed);
            }
            events.send(Event::Checked { vm: movement.vm.clone(), check: result.clone() });
            results.push(result);
        },
    )
    .await;
}

/// After an undo: the laptop's and the guest's checks that passed before and do not
/// pass again. The hypervisor has seen to its own.
pub async fn lost(movement: &Move, way: &Way, before: &Before) -> Vec<CheckResult> {
    let passed = movement.elsewhere().zip(before).filter(|(_, before)| **before == Some(true));
    let turn = Arc::new(Turn::default());
    let attempt = |check: Check, way: Way, turn: Arc<Turn>| async move { turn.attempt(&check, &way).await };
    let results = together(
        passed.map(|(check, _)| check).collect(),
        |check| attempt(check, way.clone(), turn.clone()),
        |_, _| (),
    )
    .await;
    results.into_iter().filter(|result| !result.ok).collect()
}

/// All checks of a VM that nobody switches, wherever they run: every one has a result.
/// What expects a refusal says nothing about a VM of which something else fails, and no
/// check says anything about one that does not stand: these are failed without a try. What
/// fails is asked once more where the line is there: it may have been gone meanwhile.
pub async fn survey(movement: &Move, host: &Host, stands: bool, events: &Events) -> Vec<CheckResult> {
    let way = &probe::way(host, movement);
    let mut results: Vec<CheckResult> = Vec::new();
    for wanted in [Expect::Ok, Expect::Refused] {
        for check in movement.checks.iter().filter(|c| c.expect == wanted) {
            let ask = stands && (wanted == Expect::Ok || results.iter().all(|r| r.ok));
            let mut result = if ask { attempt(check, way).await } else { not_run(check) };
            if ask && !result.ok && host.answers().await {
                // It had all its time.
                result = attempt(&Check { within: 0, ..check.clone() }, way).await;
            }
            events.send(Event::Checked { vm: movement.vm.clone(), check: result.clone() });
            results.push(result);
        }
    }
    results
}

fn not_run(check: &Check) -> CheckResult {
    CheckResult {
        name: check.name.clone(),
        from: check.from,
        ok: false,
        millis: None,
        note: Some("another check failed before it".to_owned()),
        definition: Some(check.definition()),
    }
}

/// Whether a result lets a deployment stand.
pub fn is_good(result: &CheckResult) -> bool {
    result.ok || result.note.as_deref() == Some("failing-before")
}

/// Works on all checks at the same time, tells of each that ends, and returns what came
/// of them in the order of the checks.
async fn together<T, F>(
    checks: Vec<&Check>,
    work: impl Fn(Check) -> F,
    mut ended: impl FnMut(usize, &T),
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    // Its tasks end when it is dropped, and their processes with them.
    let mut tasks = JoinSet::new();
    for (index, check) in checks.into_iter().enumerate() {
        let work = work(check.clone());
        tasks.spawn(async move { (index, work.await) });
    }
    let mut all: Vec<(usize, T)> = Vec::new();
    while let Some(task) = tasks.join_next().await {
        match task {
            Ok((index, value)) => {
                ended(index, &value);
                all.push((index, value));
            }
            // A bug of ours. Without that check's result the rest would read as all of them.
            Err(bug) => std::panic::resume_unwind(bug.into_panic()),
        }
    }
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, value)| value).collect()
}

/// Checks that run at the same time.
struct Turn {
    /// sshd drops connections when more than ten come at once.
    places: Semaphore,
    /// One has failed: there is no need to wait for the others.
    over: AtomicBool,
}

impl Default for Turn {
    fn default() -> Self {
        Self { places: Semaphore::new(6), over: AtomicBool::new(false) }
    }
}

impl Turn {
    async fn ask(&self, check: &Check, way: &Way) -> String {
        // It is never closed; without a place, asking is still right.
        let _place = self.places.acquire().await.ok();
        probe::ask(check, way).await
    }

    /// How a check fares before anything is touched. Only a failure that was really found
    /// may become an excuse, and not one that is over with the next question.
    async fn look(&self, check: &Check, way: &Way) -> Option<bool> {
        // A refusal need not be thrice as sure here.
        let once = Check { expect: Expect::Ok, ..check.clone() };
        let looks = if check.excusable { LOOKS } else { 1 };
        for left in (0..looks).rev() {
            let found = self.ask(&once, way).await;
            if holds(check, &found) {
                return Some(true);
            }
            if !probe::was_asked(&check.probe, &found) {
                return None;
            }
            if left > 0 {
                tokio::time::sleep(BETWEEN).await;
            }
        }
        Some(false)
    }

    async fn attempt(&self, check: &Check, way: &Way) -> CheckResult {
        let began = clock::moment();
        let mut pause = Duration::from_millis(100);
        let (ok, found) = loop {
            let found = self.ask(check, way).await;
            if holds(check, &found) {
                break (true, found);
            }
            let late = began.elapsed() >= Duration::from_secs(u64::from(check.within));
            if late || check.expect == Expect::Refused || self.over.load(Ordering::Relaxed) {
                break (false, found);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        };
        CheckResult {
            name: check.name.clone(),
            from: check.from,
            ok,
            millis: u64::try_from(began.elapsed().as_millis()).ok(),
            note: (!ok).then_some(if found == "ok" { "answered".to_owned() } else { found }),
            definition: Some(check.definition()),
        }
    }
}

/// One check to its end: retried with growing pauses, but not where a refusal is
/// expected, which must hold at once and three times.
pub async fn attempt(check: &Check, way: &Way) -> CheckResult {
    Turn::default().attempt(check, way).await
}

fn holds(check: &Check, found: &str) -> bool {
    match check.expect {
        Expect::Ok => found == "ok",
        Expect::Refused => matches!(found, "refused" | "timeout" | "unreachable"),
    }
}

/// Tells the hypervisor that all positive checks have passed here, so that it may try
/// what must be refused.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be told, or cannot write it down.
pub async fn agree(host: &Host, id: &TransactionId) -> Result<()> {
    let reply = host.script(script::AGREE, &[id.to_string()]).await?;
    if reply.code == 0 {
        return Ok(());
    }
    let message = "the hypervisor cannot write down that the laptop's checks hold";
    Err(Failure::new(Aftermath::Unreachable, message).help("see that its disk is not full"))
}

/// Hands the verdict in over a fresh connection, which is itself part of the verdict:
/// a hypervisor that cannot be reached any more must not be told that all is well. It
/// goes to where the change has `moved` the hypervisor, if it has.
/// Returns the verdict that holds; `None` when there is no such transaction yet.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be reached over a new connection.
pub async fn hand_in(
    host: &Host,
    moved: Option<&Address>,
    id: &TransactionId,
    verdict: Verdict,
    results: &[CheckResult],
) -> Result<Option<String>> {
    let reply = host.script_fresh(moved, script::DECIDE, &decision(id, verdict, results)).await?;
    Ok(holding(&reply))
}

/// The same over the open connection: good enough to ask for an undo.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn ask_to_undo(
    host: &Host,
    id: &TransactionId,
    verdict: Verdict,
    results: &[CheckResult],
) -> Result<Option<String>> {
    let reply = host.script(script::DECIDE, &decision(id, verdict, results)).await?;
    Ok(holding(&reply))
}

/// Without room to write one down, none holds.
fn holding(reply: &Reply) -> Option<String> {
    reply.fields.first().filter(|verdict| !verdict.is_empty()).cloned()
}

fn decision(id: &TransactionId, verdict: Verdict, results: &[CheckResult]) -> Vec<String> {
    let json: Vec<String> = results.iter().filter_map(|r| serde_json::to_string(r).ok()).collect();
    vec![id.to_string(), verdict.word().to_owned(), json.join(",")]
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
