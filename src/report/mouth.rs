//! What owns stdout and stderr. Events and finished texts come to it on two channels; it
//! says them one after the other, so lines never interleave, and in the order in which
//! they were handed in. It has a thread of its own: a write waits for as long as nobody
//! reads, and the work must not.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{oneshot, watch};

use super::Notebook;
use super::ask::{self, Answer};
use super::ci::{Alarm, Forge, Groups};
use super::human::Human;
use super::json;
use super::plain::Plain;
use super::screen::{Drawing, Screen};
use super::stream::Stream;
use crate::model::backlog::Backlog;
use crate::model::event::Event;
use crate::model::name::VmName;

/// What the reporter asks of its task.
pub(super) enum Said {
    /// An event that happened before what was said next.
    Event(Box<Event>),
    /// A text for stdout: the result.
    Result(String),
    /// A text for stderr.
    Progress(String),
    /// A failure's text, for stderr.
    Failure(String),
    /// A text that is said only if somebody is asked.
    Held(String),
    /// So many checks are planned.
    Checks(BTreeMap<VmName, usize>),
    /// The question.
    Ask(String, oneshot::Sender<Answer>),
    /// Something that a pipeline shows beside its log.
    Alarm(Alarm),
    /// A page of Markdown.
    Markdown(String),
    /// A text that stands in the place of the one before.
    Draw(Drawing),
    /// Somebody else speaks from here on.
    Hush(oneshot::Sender<()>),
    /// Nothing more comes.
    End,
}

impl Said {
    /// About how many bytes it takes while it waits.
    fn weight(&self) -> usize {
        let text = match self {
            Self::Event(event) => return event.weight(),
            Self::Result(text) | Self::Progress(text) | Self::Failure(text) => text.len(),
            Self::Held(text) | Self::Markdown(text) => text.len(),
            Self::Draw(drawing) => drawing.text.len(),
            _ => 0,
        };
        text + size_of::<Self>()
    }
}

/// What became of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is where it should be, or its reader has seen enough.
    Whole,
    /// Not all of it could be written. That was said.
    Torn,
}

/// How events are spoken.
pub(super) enum Voice {
    Human(Box<Human>),
    Plain(Plain),
    Json,
    /// Warnings only.
    Quiet(Plain),
}

/// What a turn brings.
enum Heard {
    Said(Option<Said>),
    /// Time has passed.
    Nothing,
}

pub(super) struct Mouth {
    pub stdout: Stream,
    pub stderr: Stream,
    pub voice: Voice,
    pub can_ask: bool,
    pub time: fn() -> String,
    pub held: Option<String>,
    /// Whose log is written, where it takes more than lines.
    pub forge: Option<Forge>,
    pub groups: Groups,
    pub seconds: fn() -> u64,
    /// Where pages of Markdown go.
    pub notebook: Option<Notebook>,
    /// Becomes true when nobody reads stdout any more.
    pub closed: watch::Sender<bool>,
    pub screen: Screen,
    /// How often to say that it goes on.
    pub pulse: Option<Duration>,
    /// Whether something was said since the last pulse.
    pub spoke: bool,
}

impl Drop for Mouth {
    /// However we end, the terminal is as it was.
    fn drop(&mut self) {
        self.screen.leave(&mut self.stdout);
    }
}

/// The stages' events, shared by the one who speaks of them and the handle, which
/// moves those that wait in front of what it says itself: two channels alone would
/// not tell which came first.
#[derive(Debug, Clone)]
pub(super) struct Ears {
    events: Arc<Mutex<UnboundedReceiver<Event>>>,
    pub backlog: Backlog,
}

impl Ears {
    pub fn new(events: UnboundedReceiver<Event>, backlog: Backlog) -> Self {
        Self { events: Arc::new(Mutex::new(events)), backlog }
    }

    /// Says this after all events that were sent before.
    pub fn say(&self, said: Said, to: &UnboundedSender<Said>) {
        let mut events = self.lock();
        // A closed channel means that the thread has ended; then nobody listens.
        while let Ok(event) = events.try_recv() {
            let _ = to.send(Said::Event(Box::new(event)));
        }
        let gap = Event::gap(&self.backlog).map(|gap| Said::Event(Box::new(gap)));
        for said in gap.into_iter().chain([said]) {
            self.backlog.add(said.weight());
            let _ = to.send(said);
        }
    }

    /// What is to be said next; `None` when the handle is gone and nothing is left.
    fn poll(&self, said: &mut UnboundedReceiver<Said>, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        // Under the lock either all of what `say` hands in is there, or nothing.
        let mut events = self.lock();
        let ended = match said.poll_recv(cx) {
            Poll::Ready(Some(said)) => return Poll::Ready(Some(said)),
            Poll::Ready(None) => true,
            Poll::Pending => false,
        };
        match events.poll_recv(cx) {
            Poll::Ready(Some(event)) => Poll::Ready(Some(Said::Event(Box::new(event)))),
            _ if ended => Poll::Ready(None),
            _ => Poll::Pending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, UnboundedReceiver<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mouth {
    /// Speaks on a thread of its own. Nobody has to wait for it: it holds up no end of the
    /// process.
    pub fn on_its_own(
        self,
        said: UnboundedReceiver<Said>,
        ears: Ears,
    ) -> std::io::Result<oneshot::Receiver<Written>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new().name("mouth".to_owned()).spawn(move || {
            // Nobody may wait any more.
            let _ = ended.send(runtime.block_on(self.run(said, ears)));
        })?;
        Ok(end)
    }

    /// Speaks until it is told to end, or until the reporter is gone.
    pub async fn run(mut self, mut said: UnboundedReceiver<Said>, ears: Ears) -> Written {
        let mut pulse = self.pulse.map(tokio::time::interval);
        loop {
            let next = poll_fn(|cx| {
                let next = ears.poll(&mut said, cx);
                if next.is_ready() {
                    return next.map(Heard::Said);
                }
                match &mut pulse {
                    Some(pulse) => pulse.poll_tick(cx).map(|_| Heard::Nothing),
                    None => Poll::Pending,
                }
            });
            let said = match next.await {
                Heard::Nothing => {
                    self.beat();
                    continue;
                }
                Heard::Said(said) => said,
            };
            let weight = said.as_ref().map_or(0, Said::weight);
            match said {
                Some(Said::Ask(question, reply)) => self.ask(&question, reply).await,
                Some(Said::End) | None => break,
                Some(said) => self.say(said),
            }
            ears.backlog.remove(weight);
        }
        self.end()
    }

    fn end(&mut self) -> Written {
        if let Voice::Human(human) = &mut self.voice {
            human.close(true, &mut self.stderr);
        }
        self.end_group();
        self.screen.leave(&mut self.stdout);
        let Some(error) = self.stdout.failed() else { return Written::Whole };
        self.stderr.line(&format!("error: the output is not whole: cannot write to stdout: {error}"));
        Written::Torn
    }

    /// Says that it goes on, if nothing else has said so since the last time.
    fn beat(&mut self) {
        // Several phases may go on at once; only the last to begin would be known.
        if let (false, Voice::Plain(_)) = (self.spoke, &self.voice) {
            self.stderr.line(&format!("{} still at work", (self.time)()));
        }
        self.spoke = false;
    }

    fn event(&mut self, event: &Event) {
        if self.annotated(event) {
            return;
        }
        match &mut self.voice {
            Voice::Human(human) => human.event(event, &mut self.stderr),
            Voice::Json => self.stdout.line(&json::event(event)),
            Voice::Quiet(_) if !matches!(event, Event::Warning { .. }) => {}
            Voice::Plain(plain) => {
                let Some(text) = plain.text(event) else { return };
                self.spoke = true;
                if let (Some(forge), Event::Phase { name, .. }) = (self.forge, event) {
                    let (said, titled) = self.groups.phase(forge, name, &text, (self.seconds)());
                    self.stderr.raw(&said.unwrap_or_default());
                    if titled {
                        return;
                    }
                }
                self.stderr.line(&format!("{} {text}", (self.time)()));
            }
            Voice::Quiet(plain) => {
                if let Some(text) = plain.text(event) {
                    self.stderr.line(&text);
                }
            }
        }
    }

    /// Makes an annotation of a warning, where there are any.
    fn annotated(&mut self, event: &Event) -> bool {
        let Event::Warning { message } = event else { return false };
        let github = self.forge == Some(Forge::Github);
        if github {
            self.alarm(&Alarm::warning(message));
        }
        github
    }

    fn alarm(&mut self, alarm: &Alarm) {
        if self.forge == Some(Forge::Github) {
            self.stderr.raw(&format!("{}\n", alarm.command()));
        }
    }

    fn note(&mut self, page: &str) {
        let written = self.notebook.as_mut().map(|write| write(page));
        if let Some(Err(message)) = written {
            // Once is enough.
            self.notebook = None;
            self.event(&Event::Warning { message });
        }
    }

    fn end_group(&mut self) {
        if let Some(forge) = self.forge {
            let end = self.groups.end(forge, (self.seconds)());
            self.stderr.raw(&end.unwrap_or_default());
        }
    }

    fn say(&mut self, said: Said) {
        match said {
            Said::Event(event) => self.event(&event),
            Said::Result(text) => {
                self.close(true);
                self.stdout.line(&text);
                self.see_who_reads();
            }
            Said::Draw(drawing) => {
                if let Voice::Human(human) = &mut self.voice {
                    human.close(true, &mut self.stderr);
                }
                self.screen.draw(&drawing, &mut self.stdout);
                self.see_who_reads();
            }
            Said::Progress(text) => {
                self.close(true);
                self.stderr.line(&text);
            }
            Said::Failure(text) => {
                self.close(false);
                self.stderr.line(&text);
            }
            Said::Held(text) => self.held = Some(text),
            Said::Checks(planned) => {
                if let Voice::Human(human) = &mut self.voice {
                    human.expect_checks(planned);
                }
            }
            Said::Alarm(alarm) => self.alarm(&alarm),
            Said::Markdown(page) => self.note(&page),
            Said::Hush(done) => {
                self.close(true);
                // Who asked may have gone.
                let _ = done.send(());
            }
            Said::Ask(..) | Said::End => {}
        }
    }

    fn see_who_reads(&self) {
        if !self.stdout.is_open() {
            self.closed.send_replace(true);
        }
    }

    async fn ask(&mut self, question: &str, mut reply: oneshot::Sender<Answer>) {
        self.close(true);
        if !self.can_ask {
            // Who asked may have gone; then nobody needs the answer.
            let _ = reply.send(Answer::Unanswered);
            return;
        }
        if let Some(text) = self.held.take() {
            self.stderr.line(&text);
        }
        self.stderr.write(&format!("\n{question} [y/N] "));
        let answer = tokio::select! {
            answer = ask::listen() => answer.unwrap_or(Answer::Declined),
            () = reply.closed() => {
                self.stderr.line("");
                return;
            }
        };
        let _ = reply.send(answer);
    }

    /// Takes what moves off the terminal, and leaves a line empty before what follows.
    fn close(&mut self, well: bool) {
        self.screen.leave(&mut self.stdout);
        self.end_group();
        if let Voice::Human(human) = &mut self.voice {
            human.close(well, &mut self.stderr);
            if human.has_spoken() {
                self.stderr.line("");
            }
        }
    }
}

#[cfg(test)]
#[path = "mouth_tests.rs"]
mod tests;
