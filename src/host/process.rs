//! Starts programs on this machine. Every child has its own process group, an
//! empty stdin unless it is given one, and separate pipes that are drained all the
//! time (Nix cuts its stdout otherwise). A future that is dropped ends its child:
//! TERM, and KILL two seconds later (Nix 2.8 ignores TERM while it copies).
//! Memory is bounded whatever a program prints; time is where [`Limits`] say so.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::git::OF_A_REPOSITORY;
use crate::error::{Aftermath, Failure, Result};
use crate::model::access;
use crate::model::argv::{Argv, Output};

/// Most that is kept of a program's stdout and stderr, in bytes.
const MOST_OUTPUT: usize = 16 << 20;
const MOST_ERRORS: usize = 2 << 20;
const LONGEST_LINE: u64 = 1 << 20;
/// Bytes of an answer that was too long.
const MOST_SHOWN: usize = 4096;
/// Lines that are read before others get their turn: what is told of them is counted, and
/// waited for where it is too much.
const LINES_A_TURN: usize = 16;

/// What another machine's answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of stdout that are kept.
    pub bytes: usize,
    /// Longest time for all of it; `None` where nobody can say.
    pub whole: Option<Duration>,
    /// Longest time for one line of it.
    pub silence: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It was too long; how it began.
    TooLong(Vec<u8>),
    /// It did not come in time.
    TooLate,
    /// The program cannot be started.
    Failed(Failure),
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started; a bad exit code is not an error here.
pub async fn run(argv: &Argv) -> Result<Output> {
    watch(argv, |_| (), |_| ()).await
}

/// Runs a program to its end and hands over each line of its stdout and stderr as
/// it comes, lossily decoded and without its end. Both are also kept in the output.
///
/// # Errors
/// When it cannot be started; a bad exit code is not an error here.
pub async fn watch(
    argv: &Argv,
    mut on_out: impl FnMut(&str),
    mut on_error: impl FnMut(&str),
) -> Result<Output> {
    let out = |line: &str| {
        on_out(line);
        true
    };
    let error = |line: &str| {
        on_error(line);
        true
    };
    sift(argv, out, error).await
}

/// The same, but only those lines are kept in the output to which `on_out` or
/// `on_error` says yes: a long build log would otherwise push out what matters.
///
/// # Errors
/// When it cannot be started; a bad exit code is not an error here.
pub async fn sift(
    argv: &Argv,
    on_out: impl FnMut(&str) -> bool,
    on_error: impl FnMut(&str) -> bool,
) -> Result<Output> {
    let mut child = Group::start(argv, Stdio::piped)?;
    let feed = feed(child.inner.stdin.take(), argv);
    let (stdout, stderr) = (child.inner.stdout.take(), child.inner.stderr.take());
    let ((), stdout, stderr) =
        tokio::join!(feed, drain(stdout, MOST_OUTPUT, on_out), drain(stderr, MOST_ERRORS, on_error));
    let status = child.inner.wait().await.map_err(|e| cannot_start(argv, &e))?;
    child.finished = true;
    Ok(Output { code: status.code(), stdout, stderr })
}

/// The same for an answer of another machine: a program that goes beyond the limits is
/// ended at once.
///
/// # Errors
/// When it did, or could not be started.
pub async fn answer(
    argv: &Argv,
    limits: Limits,
    on_out: impl FnMut(&str) -> bool,
) -> std::result::Result<Output, Stopped> {
    let mut child = Group::start(argv, Stdio::piped).map_err(Stopped::Failed)?;
    let feed = feed(child.inner.stdin.take(), argv);
    let (stdout, stderr) = (child.inner.stdout.take(), child.inner.stderr.take());
    let collected = async {
        let mut others = std::pin::pin!(async { tokio::join!(feed, drain(stderr, MOST_ERRORS, |_| true)).1 });
        let mut errors = None;
        let mut stdout = std::pin::pin!(collect(stdout, limits, on_out));
        let stdout = loop {
            tokio::select! {
                stdout = &mut stdout => break stdout?,
                text = &mut others, if errors.is_none() => errors = Some(text),
            }
        };
        // stdout has ended: nothing more is to come.
        let stderr = match errors {
            Some(text) => text,
            None => timeout(limits.silence, others).await.map_err(|_| Stopped::TooLate)?,
        };
        let status = timeout(limits.silence, child.inner.wait()).await.map_err(|_| Stopped::TooLate)?;
        let status = status.map_err(|e| Stopped::Failed(cannot_start(argv, &e)))?;
        Ok(Output { code: status.code(), stdout, stderr })
    };
    let output = match limits.whole {
        Some(whole) => timeout(whole, collected).await.map_err(|_| Stopped::TooLate)?,
        None => collected.await,
    }?;
    child.finished = true;
    Ok(output)
}

async fn feed(stdin: Option<ChildStdin>, argv: &Argv) {
    if let (Some(mut pipe), Some(bytes)) = (stdin, argv.stdin.as_deref()) {
        // A program that stops reading early says why by its exit code.
        let _ = pipe.write_all(bytes).await;
    }
}

/// Reads a pipe to its end; of more than `most` bytes, only the end is kept.
async fn drain(
    pipe: Option<impl AsyncRead + Unpin>,
    most: usize,
    mut on_line: impl FnMut(&str) -> bool,
) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::new();
    let mut lines = Lines::new(pipe);
    while let Some(line) = lines.next().await {
        if !on_line(&text(line)) {
            continue;
        }
        kept.extend_from_slice(line);
        if kept.len() > most + most / 2 {
            kept.drain(..kept.len() - most);
        }
    }
    kept
}

/// Reads a pipe to its end, or to the first limit.
async fn collect(
    pipe: Option<impl AsyncRead + Unpin>,
    limits: Limits,
    mut on_line: impl FnMut(&str) -> bool,
) -> std::result::Result<Vec<u8>, Stopped> {
    let mut kept: Vec<u8> = Vec::new();
    let mut lines = Lines::new(pipe);
    while let Some(line) = timeout(limits.silence, lines.next()).await.map_err(|_| Stopped::TooLate)? {
        if on_line(&text(line)) {
            kept.extend_from_slice(line);
            if kept.len() > limits.bytes {
                kept.truncate(MOST_SHOWN);
                return Err(Stopped::TooLong(kept));
            }
        }
    }
    Ok(kept)
}

/// The lines of a pipe; longer ones come in pieces.
struct Lines<P> {
    pipe: Option<BufReader<P>>,
    line: Vec<u8>,
    read: usize,
}

impl<P: AsyncRead + Unpin> Lines<P> {
    fn new(pipe: Option<P>) -> Self {
        Self { pipe: pipe.map(BufReader::new), line: Vec::new(), read: 0 }
    }

    /// The next one with its end; `None` at the end of the pipe.
    async fn next(&mut self) -> Option<&[u8]> {
        let pipe = self.pipe.as_mut()?;
        self.read += 1;
        if self.read.is_multiple_of(LINES_A_TURN) {
            tokio::task::yield_now().await;
        }
        self.line.clear();
        match pipe.take(LONGEST_LINE).read_until(b'\n', &mut self.line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(&self.line),
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_owned()
}

/// A program that runs as long as this is kept: its stdin stays open, its output is
/// thrown away.
#[derive(Debug)]
pub struct Held {
    _child: Group,
    _stdin: Option<ChildStdin>,
}

/// Starts a program that reads its stdin to the end, and keeps it waiting for that.
///
/// # Errors
/// When it cannot be started.
pub fn hold(argv: &Argv) -> Result<Held> {
    let mut child = Group::start(&argv.clone().stdin(Vec::new()), Stdio::null)?;
    let stdin = child.inner.stdin.take();
    Ok(Held { _child: child, _stdin: stdin })
}

/// A child that does not outlive its owner.
#[derive(Debug)]
struct Group {
    inner: Child,
    finished: bool,
}

impl Group {
    #[expect(clippy::disallowed_methods, reason = "this is the door to other programs")]
    fn start(argv: &Argv, output: fn() -> Stdio) -> Result<Self> {
        let mut command = Command::new(&argv.program);
        command.args(&argv.args).stdout(output()).stderr(output()).process_group(0);
        command.stdin(if argv.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.env_remove(access::KEY);
        for name in OF_A_REPOSITORY {
            command.env_remove(name);
        }
        for (name, value) in &argv.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        for (name, text) in lengthened(argv, |name| std::env::var(name).unwrap_or_default()) {
            command.env(name, text);
        }
        if let Some(dir) = &argv.dir {
            command.current_dir(dir);
        }
        let inner = command.spawn().map_err(|e| cannot_start(argv, &e))?;
        Ok(Self { inner, finished: false })
    }
}

/// Variables with the lines that are added to them.
fn lengthened(argv: &Argv, old: impl Fn(&str) -> String) -> BTreeMap<&str, String> {
    let mut variables = BTreeMap::new();
    for (name, line) in &argv.lines {
        let text = variables.entry(name.as_str()).or_insert_with(|| old(name));
        text.push('\n');
        text.push_str(line);
    }
    variables
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.inner.id().filter(|_| !self.finished) {
            end_group(pid);
        }
    }
}

/// Asks a group to end, and two seconds later ends what is left of it.
const END_GROUP: &str = r#"
kill -s TERM -- "-$1" || exit
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    sleep 0.1
    kill -s 0 -- "-$1" || exit
done
kill -s KILL -- "-$1"
"#;

/// A process of its own, because ours may end at once: Nix 2.8 that is asked to end while
/// it evaluates goes on for ever now and then. And kill(1), because the crate has no
/// unsafe code.
#[expect(clippy::disallowed_methods, reason = "this is the door to other programs")]
fn end_group(pid: u32) {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", END_GROUP, "sh", &pid.to_string()]).process_group(0).env_remove(access::KEY);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without sh there would be no hypervisor either.
    let _ = command.spawn();
}

pub(super) fn cannot_start(argv: &Argv, error: &std::io::Error) -> Failure {
    let failure = Failure::new(Aftermath::Unreachable, format!("cannot start {}: {error}", argv.program));
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            failure.help(format!("install {} or put it on PATH, then try again", argv.program))
        }
        _ => failure,
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
