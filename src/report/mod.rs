//! The only mouth. Stages send events; a [`Reporter`] says them, and everything
//! else that a user reads: plans, summaries, tables, failures and the one question.
//! stdout carries the result, stderr the progress. This room decides nothing and
//! changes nothing. Texts are made by pure functions, one file per thing said.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::sync::watch::{Receiver, channel};

use crate::error::Failure;
use crate::model::backlog::Backlog;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::generation::Generation;
use crate::model::ledger::Entry;
use crate::model::log::LogLine;
use crate::model::name::VmName;
use crate::model::old::{Listing, Old};
use crate::model::outcome::Outcome;
use crate::model::plan::Plan;
use crate::model::status::Status;
use crate::model::system::SystemGeneration;
use crate::model::template::Template;

mod ask;
mod closure;
mod human;
mod mouth;
mod plain;
mod screen;
mod stream;
mod terminal;
mod texts;
mod trail;
mod watch;
mod why;
mod wire;
mod wording;

pub mod ci;
pub mod difference;
pub mod doctor;
pub mod failure;
pub mod generations;
pub mod history;
pub mod json;
pub mod logs;
pub mod markdown;
pub mod page;
pub mod plan;
pub mod prune;
pub mod quantity;
pub mod status;
pub mod summary;
pub mod system;
pub mod table;
pub mod template;

pub use ask::Answer;
pub use difference::Difference;
pub use mouth::Written;
pub use stream::put;
pub use watch::Round;

use ci::{Alarm, Forge, Groups};
use human::Human;
use logs::Prefixes;
use mouth::{Ears, Mouth, Said, Voice};
use page::{Page, harmless};
use plain::Plain;
use screen::{Drawing, Screen};
use stream::Stream;
use table::Table;
use terminal::Terminal;

/// Nobody who waits hears nothing for twice as long.
const PULSE: Duration = Duration::from_secs(3);

/// Whether to use colours. A flag beats `NO_COLOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Also into a pipe.
    Always,
    /// Not at all.
    Never,
}

/// How to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Speech {
    /// The result as JSON.
    pub json: bool,
    /// With `json`: the events too, one object a line (`push`, `rollback`, `check`).
    /// Without it stdout has one object, and progress goes to stderr as usual.
    pub stream: bool,
    /// Colours.
    pub colour: ColourChoice,
    /// No progress; warnings, questions and failures only.
    pub quiet: bool,
    /// 1 shows build logs.
    pub verbose: u8,
    /// Where progress is in lines, say at least every few seconds that it goes on.
    pub pulse: bool,
}

/// Takes a page of Markdown; what it says instead is why it could not be kept.
pub type Notebook = Box<dyn FnMut(&str) -> Result<(), String> + Send>;

/// The handle to the thread that speaks. Everything is said in the order in which it
/// was handed in; events that were sent before come before.
#[derive(Debug)]
pub struct Reporter {
    said: UnboundedSender<Said>,
    ears: Ears,
    ended: oneshot::Receiver<Written>,
    speech: Speech,
    result: Page,
    progress: Page,
    notes: bool,
    unread: Receiver<bool>,
}

impl Reporter {
    /// Starts the thread. What it says goes off the events' backlog. Plans, results and
    /// failures also go into the notebook, as Markdown.
    ///
    /// # Errors
    /// When the system has no room for a thread.
    pub fn start(
        speech: Speech,
        events: UnboundedReceiver<Event>,
        backlog: Backlog,
        notebook: Option<Notebook>,
    ) -> std::io::Result<Self> {
        let terminal = Terminal::look();
        let (result, progress) = (terminal.result_page(speech), terminal.progress_page(speech));
        let voice = if speech.json && speech.stream {
            Voice::Json
        } else if speech.quiet {
            Voice::Quiet(Plain::new(0))
        } else if terminal.can_animate() {
            Voice::Human(Box::new(Human::new(progress, speech.verbose)))
        } else {
            Voice::Plain(Plain::new(speech.verbose))
        };
        let notes = notebook.is_some();
        let (closed, unread) = channel(false);
        let (mut stdout, mut stderr) = (Stream::new(std::io::stdout()), Stream::new(std::io::stderr()));
        if terminal.forge == Some(Forge::Github) {
            stdout = stdout.guarded(if speech.json { ci::inert_json } else { ci::inert });
            stderr = stderr.guarded(ci::inert);
        }
        let mouth = Mouth {
            stdout,
            stderr,
            voice,
            can_ask: terminal.can_ask(),
            time: terminal::time_of_day,
            held: None,
            // Machines that read JSON get nothing else.
            forge: terminal.forge.filter(|_| !speech.json),
            groups: Groups::default(),
            seconds: terminal::seconds,
            notebook,
            closed,
            screen: Screen::default(),
            pulse: speech.pulse.then_some(PULSE),
            spoke: true,
        };
        let (said, receiver) = tokio::sync::mpsc::unbounded_channel();
        let ears = Ears::new(events, backlog);
        let ended = mouth.on_its_own(receiver, ears.clone())?;
        Ok(Self { said, ears, ended, speech, result, progress, notes, unread })
    }

    /// Whether the result is JSON.
    pub fn is_json(&self) -> bool {
        self.speech.json
    }

    /// The plan as the result of `plan` and `push --dry-run`.
    pub fn plan(&self, plan: &Plan) {
        self.result(|page| plan::text(plan, page), || json::plan(plan));
        self.note(|| markdown::plan(plan));
        self.alarm(Alarm::broken(plan));
    }

    /// The plan that `push` is about to obey, on stderr. With `quiet` it is said
    /// only if somebody is asked.
    pub fn proposal(&self, plan: &Plan) {
        let planned: BTreeMap<VmName, usize> =
            plan.moves.iter().map(|each| (each.vm.clone(), each.checks.len())).collect();
        self.say(Said::Checks(planned));
        let text = plan::text(plan, self.progress);
        if self.speech.json && self.speech.stream {
            self.say(Said::Result(json::proposal(plan)));
        }
        if self.speech.json || self.speech.quiet {
            self.say(Said::Held(text));
        } else {
            self.say(Said::Progress(text));
        }
        self.note(|| markdown::plan(plan));
        self.alarm(Alarm::broken(plan));
    }

    /// Asks a question; the default is no. Dropping the future withdraws it.
    pub async fn confirm(&self, question: &str) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.say(Said::Ask(harmless(question), reply));
        answer.await.unwrap_or(Answer::Unanswered)
    }

    /// How it ended.
    pub fn summary(&self, exit: u8, outcomes: &[Outcome]) {
        self.result(|page| summary::text(outcomes, page), || json::summary(exit, outcomes));
        self.note(|| markdown::result(exit, outcomes));
        self.alarm(Alarm::outcomes(outcomes));
    }

    /// A failure of the whole command.
    pub fn failure(&self, failure: &Failure) {
        if self.speech.json {
            self.say(Said::Result(json::failure(failure)));
        } else {
            self.say(Said::Failure(failure::text(failure, self.progress)));
        }
        self.note(|| markdown::failed(failure));
        self.alarm(vec![Alarm::failure(failure)]);
    }

    /// The rows of `status`; `-v` shows every runner.
    pub fn status(&self, rows: &[Status]) {
        let every = self.speech.verbose > 0;
        self.result(|page| status::text(rows, every, page), || json::status(rows));
    }

    /// The same again and again, in place on a terminal and otherwise one below the other.
    pub fn watched(&self, rows: &[Status], round: &Round) {
        let terminal = Terminal::look();
        match terminal.screen().filter(|_| !self.speech.json) {
            Some((width, height)) => {
                let page = terminal.result_page(self.speech);
                let text = round.text(rows, &terminal::time_of_day(), page);
                self.say(Said::Draw(Drawing { text, width, height }));
            }
            None => {
                let remarks = round.remarks.iter().filter(|_| !round.repeated);
                remarks.for_each(|remark| self.remark(remark));
                let apart = if round.first { "" } else { "\n" };
                let table = |page| format!("{apart}{}", status::text(rows, self.speech.verbose > 0, page));
                self.result(table, || json::status(rows));
            }
        }
    }

    /// The generations of one VM, ascending.
    pub fn generations(&self, vm: &VmName, generations: &[Generation]) {
        self.result(|page| generations::text(generations, page), || json::generations(vm, generations));
    }

    /// The generations of the hypervisor's own system, ascending.
    pub fn system_generations(&self, generations: &[SystemGeneration]) {
        self.result(|page| system::text(generations, page), || json::system_generations(generations));
    }

    /// What was written of a template.
    pub fn template(&self, template: &Template) {
        self.result(|page| template::text(template, page), || json::template(template));
    }

    /// The ledger, oldest first.
    pub fn history(&self, entries: &[Entry]) {
        self.result(|page| history::text(entries, page), || json::history(entries));
    }

    /// Generations that may go, for people.
    pub fn prunable(&self, listing: &Listing) {
        if !self.speech.json {
            self.say(Said::Result(prune::listing(listing, self.result)));
        }
    }

    /// Generations that went, for people; `collect` is what to type next.
    pub fn pruned(&self, dropped: &[(VmName, Old)], collect: &str) {
        if !self.speech.json {
            for line in prune::pruned(dropped, collect) {
                self.line(&line);
            }
        }
    }

    /// A line of a journal; without prefixes, as on a console.
    pub fn log(&self, line: &LogLine, prefixes: Option<&Prefixes>) {
        let text = |page| prefixes.map_or_else(|| logs::console(line), |all| all.text(line, page));
        self.result(text, || logs::object(line));
    }

    /// Ends when nobody reads the result any more, which is seen when something is said.
    pub async fn unread(&self) {
        let mut unread = self.unread.clone();
        if unread.wait_for(|yes| *yes).await.is_err() {
            // The thread has ended, and we with it.
            std::future::pending::<()>().await;
        }
    }

    /// What `doctor` found; `looked` says where it has looked.
    pub fn findings(&self, findings: &[Finding], looked: &str) {
        self.result(|page| doctor::text(findings, looked, page), || json::findings(findings));
    }

    /// Closure diffs.
    pub fn differences(&self, differences: &[Difference]) {
        self.result(|page| difference::text(differences, page), || json::differences(differences));
    }

    /// A table for people, an object for scripts.
    pub fn table<T: Serialize>(&self, table: &Table, object: T) {
        self.result(|page| table.render(page), || json::line(object));
    }

    /// One line of the result as it is, such as a line of a journal. Control
    /// characters are taken out.
    pub fn line(&self, line: &str) {
        self.say(Said::Result(harmless(line)));
    }

    /// One object of the result; it must be a struct or a map.
    pub fn object<T: Serialize>(&self, object: T) {
        self.say(Said::Result(json::line(object)));
    }

    /// A remark on stderr, unless it should be quiet.
    pub fn remark(&self, remark: &str) {
        if !self.speech.quiet && !self.speech.json {
            self.say(Said::Progress(self.progress.wrap("", &harmless(remark), 0)));
        }
    }

    /// Says what is left to say, and takes what moves off the terminal: somebody else will
    /// speak there now.
    pub async fn hush(&self) {
        let (reply, done) = oneshot::channel();
        self.say(Said::Hush(reply));
        // Without a thread there is nothing left to say.
        let _ = done.await;
    }

    /// Does what only says something, such as reading a journal, and no faster than that is
    /// written.
    pub async fn pace<T>(&self, work: impl Future<Output = T>) -> T {
        self.ears.backlog.pace(work).await
    }

    /// Says what is left to say, and ends. This takes as long as nobody reads.
    pub async fn finish(self) -> Written {
        self.say(Said::End);
        // The thread does not panic; if it did, that was said.
        self.ended.await.unwrap_or(Written::Torn)
    }

    fn result(&self, text: impl FnOnce(Page) -> String, object: impl FnOnce() -> String) {
        let said = if self.speech.json { object() } else { text(self.result) };
        self.say(Said::Result(said));
    }

    fn note(&self, page: impl FnOnce() -> String) {
        if self.notes {
            self.say(Said::Markdown(page()));
        }
    }

    fn alarm(&self, alarms: Vec<Alarm>) {
        alarms.into_iter().for_each(|alarm| self.say(Said::Alarm(alarm)));
    }

    fn say(&self, said: Said) {
        self.ears.say(said, &self.said);
    }
}
