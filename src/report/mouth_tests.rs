//! The one task that speaks, tested by what it writes.

use super::*;
use crate::model::event::Events;
use crate::report::page::Page;
use std::io::Write;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn mouth(voice: Voice, kept: &Kept) -> Mouth {
    let stream = || Stream::new(kept.clone());
    let time = || "12:34:56".to_owned();
    Mouth {
        stdout: stream(),
        stderr: stream(),
        voice,
        can_ask: false,
        time,
        held: None,
        forge: None,
        groups: Groups::default(),
        seconds: || 7,
        notebook: None,
        closed: watch::channel(false).0,
        screen: Screen::default(),
        pulse: None,
        spoke: false,
    }
}

fn warning(message: &str) -> Event {
    Event::Warning { message: message.to_owned() }
}

#[tokio::test]
async fn everything_is_said_in_the_order_in_which_it_was_handed_in() {
    let kept = Kept::default();
    let (events, receiver) = Events::channel();
    let (said, queue) = tokio::sync::mpsc::unbounded_channel();
    let ears = Ears::new(receiver, Backlog::default());
    for number in 0..100 {
        events.send(warning(&format!("{number}")));
        ears.say(Said::Result(format!("result {number}")), &said);
    }
    events.send(warning("last"));
    ears.say(Said::End, &said);
    mouth(Voice::Plain(Plain::new(0)), &kept).run(queue, ears).await;
    let pairs = (0..100).map(|n| format!("12:34:56 warning: {n}\nresult {n}\n"));
    let expected = pairs.collect::<String>() + "12:34:56 warning: last\n";
    assert_eq!(String::from_utf8(kept.0.lock().unwrap().clone()).unwrap(), expected);
}

#[tokio::test]
async fn it_says_that_it_goes_on() {
    let kept = Kept::default();
    let (events, receiver) = Events::channel();
    let (said, queue) = tokio::sync::mpsc::unbounded_channel();
    let mut mouth = mouth(Voice::Plain(Plain::new(0)), &kept);
    mouth.pulse = Some(Duration::from_millis(1));
    let task = tokio::spawn(mouth.run(queue, Ears::new(receiver, Backlog::default())));
    events.send(Event::Phase { name: "look", total: None });
    let text = || String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    while text().lines().count() < 3 {
        tokio::task::yield_now().await;
    }
    drop((said, events));
    task.await.unwrap();
    let still = "12:34:56 still at work\n";
    let wanted = format!("12:34:56 looking at the hypervisor\n{still}{still}");
    assert!(text().starts_with(&wanted), "{}", text());
}

/// What is said when one of two phases that go on at once fails, and the other does not.
async fn said_of_two(voice: Voice, failing: &'static str) -> String {
    let kept = Kept::default();
    let (events, receiver) = Events::channel();
    let (said, queue) = tokio::sync::mpsc::unbounded_channel();
    let ears = Ears::new(receiver, Backlog::default());
    for name in ["connect", "evaluate"] {
        events.send(Event::Phase { name, total: None });
    }
    events.send(Event::Evaluated { vm: "vm1".parse().unwrap(), ok: true, cached: true });
    for name in ["connect", "evaluate"] {
        events.send(Event::PhaseEnded { name, ok: name != failing });
    }
    ears.say(Said::Failure("no".to_owned()), &said);
    ears.say(Said::End, &said);
    mouth(voice, &kept).run(queue, ears).await;
    String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn of_two_phases_at_once_the_one_that_failed_is_named() {
    let human = || Voice::Human(Box::new(Human::new(Page::PLAIN, 0)));
    // How long it took is the last word.
    let untimed = |line: &str| line.split("  ").next().unwrap_or_default().to_owned();
    let lines = |text: String| text.lines().map(untimed).collect::<Vec<_>>();
    let text = lines(said_of_two(human(), "connect").await);
    assert_eq!(text, ["✗ connecting", "✓ evaluated 1 configuration, 1 from the cache", "", "no"]);
    let text = lines(said_of_two(human(), "evaluate").await);
    assert_eq!(text, ["✓ connected", "✗ evaluating", "", "no"]);
    let text = said_of_two(Voice::Plain(Plain::new(0)), "connect").await;
    insta::assert_snapshot!(text, @r"
    12:34:56 connecting
    12:34:56 evaluating
    12:34:56 vm1: evaluated, from the cache
    12:34:56 connecting failed
    no
    ");
}

#[tokio::test]
async fn it_ends_when_the_handle_is_gone_and_says_what_was_left() {
    let kept = Kept::default();
    let (events, receiver) = Events::channel();
    let (said, queue) = tokio::sync::mpsc::unbounded_channel();
    events.send(Event::Phase { name: "look", total: None });
    events.send(warning("left"));
    drop(said);
    mouth(Voice::Quiet(Plain::new(0)), &kept).run(queue, Ears::new(receiver, Backlog::default())).await;
    assert_eq!(kept.0.lock().unwrap().as_slice(), b"warning: left\n");
}

#[tokio::test]
async fn without_a_terminal_nobody_is_asked() {
    let kept = Kept::default();
    let (_events, receiver) = Events::channel();
    let (said, queue) = tokio::sync::mpsc::unbounded_channel();
    let ears = Ears::new(receiver, Backlog::default());
    let (reply, answer) = oneshot::channel();
    ears.say(Said::Ask("Go on?".to_owned(), reply), &said);
    ears.say(Said::End, &said);
    mouth(Voice::Json, &kept).run(queue, ears).await;
    assert_eq!(answer.await.unwrap(), Answer::Unanswered);
    assert!(kept.0.lock().unwrap().is_empty());
}

/// Takes nothing until it is let.
struct Stuck(Arc<Mutex<()>>, Kept);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _let = self.0.lock().unwrap();
        self.1.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nobody_waits_for_who_does_not_read_and_build_logs_do_not_fill_the_memory() {
    let (kept, gate) = (Kept::default(), Arc::new(Mutex::new(())));
    let shut = gate.lock().unwrap();
    let (events, receiver) = Events::channel();
    let (said, queue) = tokio::sync::mpsc::unbounded_channel();
    let ears = Ears::new(receiver, events.backlog());
    let mut mouth = mouth(Voice::Plain(Plain::new(1)), &kept);
    mouth.stderr = Stream::new(Stuck(gate.clone(), kept.clone()));
    let end = mouth.on_its_own(queue, ears.clone()).unwrap();
    events.send(Event::Phase { name: "build", total: None });
    let line = "x".repeat(1 << 20);
    for _ in 0..100 {
        events.send(Event::BuildLog { line: line.clone() });
    }
    assert!(events.backlog().is_shut());
    events.send(Event::Phase { name: "look", total: None });
    ears.say(Said::End, &said);
    drop(shut);
    assert_eq!(end.await.unwrap(), Written::Whole);
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().map(|line| line.get(9..40).unwrap_or(&line[9..])).collect();
    let logs = lines.iter().filter(|line| line.starts_with("build: xxx")).count();
    assert_eq!(logs, 8, "{lines:?}");
    assert!(lines.contains(&"warning: 92 lines of build logs") && lines.contains(&"building"), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("looking"), "{lines:?}");
}

/// Somebody reads, but half as fast as the build talks.
#[test]
fn a_gap_is_told_once_and_where_it_is() {
    const LINES: u64 = 2000;
    let rest = "x".repeat(100_000);
    let (events, receiver) = Events::channel();
    let (said, mut queue) = tokio::sync::mpsc::unbounded_channel();
    let ears = Ears::new(receiver, events.backlog());
    let mut heard = Vec::new();
    for number in 0..LINES {
        events.send(Event::BuildLog { line: format!("{number} {rest}") });
        if number % 2 == 0 {
            let event = ears.lock().try_recv().unwrap();
            ears.backlog.remove(event.weight());
            heard.push(event);
        }
    }
    ears.say(Said::End, &said);
    while let Ok(Said::Event(event)) = queue.try_recv() {
        heard.push(*event);
    }
    let (mut next, mut gaps) = (0, 0);
    for event in heard {
        match event {
            Event::BuildLog { line } => {
                assert!(line.starts_with(&format!("{next} ")), "{next} is missing");
                next += 1;
            }
            Event::Warning { message } => {
                next += message.split(' ').next().unwrap().parse::<u64>().unwrap();
                gaps += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(next, LINES, "all are told of, the last ones too");
    // Half of what waits is read from one to the next.
    assert!((10..=LINES / 2 / 40).contains(&gaps), "{gaps}");
}
