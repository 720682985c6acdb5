//! The task that owns stdout and stderr. Events and finished texts come to it on
//! two channels; it says them one after the other, so lines never interleave.

use std::collections::BTreeMap;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::ask::{self, Answer};
use super::human::Human;
use super::json;
use super::plain::Plain;
use super::stream::Stream;
use crate::model::event::Event;
use crate::model::name::VmName;

/// What the reporter asks of its task.
pub(super) enum Said {
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
    /// Nothing more comes.
    End,
}

/// How events are spoken.
pub(super) enum Voice {
    Human(Box<Human>),
    Plain(Plain),
    Json,
    /// Warnings only.
    Quiet(Plain),
}

pub(super) struct Mouth {
    pub stdout: Stream,
    pub stderr: Stream,
    pub voice: Voice,
    pub can_ask: bool,
    pub time: fn() -> String,
    pub held: Option<String>,
}

impl Mouth {
    /// Speaks until it is told to end, or until the reporter is gone.
    pub async fn run(mut self, mut said: UnboundedReceiver<Said>, mut events: UnboundedReceiver<Event>) {
        let mut more = true;
        loop {
            tokio::select! {
                event = events.recv(), if more => match event {
                    Some(event) => self.event(&event),
                    None => more = false,
                },
                next = said.recv() => {
                    // What happened before this was said is said before it.
                    while let Ok(event) = events.try_recv() {
                        self.event(&event);
                    }
                    match next {
                        Some(Said::Ask(question, reply)) => self.ask(&question, reply).await,
                        Some(Said::End) | None => break,
                        Some(said) => self.say(said),
                    }
                }
            }
        }
        self.close(true);
    }

    fn event(&mut self, event: &Event) {
        match &mut self.voice {
            Voice::Human(human) => human.event(event, &mut self.stderr),
            Voice::Json => self.stdout.line(&json::event(event)),
            Voice::Quiet(_) if !matches!(event, Event::Warning { .. }) => {}
            Voice::Plain(plain) => {
                if let Some(text) = plain.text(event) {
                    self.stderr.line(&format!("{} {text}", (self.time)()));
                }
            }
            Voice::Quiet(plain) => {
                if let Some(text) = plain.text(event) {
                    self.stderr.line(&text);
                }
            }
        }
    }

    fn say(&mut self, said: Said) {
        match said {
            Said::Result(text) => {
                self.close(true);
                self.stdout.line(&text);
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
            Said::Ask(..) | Said::End => {}
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

    fn close(&mut self, well: bool) {
        if let Voice::Human(human) = &mut self.voice {
            human.close(well, &mut self.stderr);
        }
    }
}
