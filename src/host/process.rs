//! Starts programs on this machine. Every child has its own process group, an
//! empty stdin unless it is given one, and separate pipes that are drained all the
//! time (Nix cuts its stdout otherwise). A future that is dropped ends its child:
//! TERM, and KILL two seconds later (Nix 2.8 ignores TERM while it copies).

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::error::{Aftermath, Failure, Result};
use crate::model::argv::{Argv, Output};

/// Most that is kept of a program's stdout and stderr, in bytes.
const MOST_OUTPUT: usize = 16 << 20;
const MOST_ERRORS: usize = 2 << 20;
const LONGEST_LINE: u64 = 1 << 20;

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
    let stdin = child.inner.stdin.take();
    let (stdout, stderr) = (child.inner.stdout.take(), child.inner.stderr.take());
    let feed = async {
        if let (Some(mut pipe), Some(bytes)) = (stdin, argv.stdin.as_deref()) {
            // A program that stops reading early says why by its exit code.
            let _ = pipe.write_all(bytes).await;
        }
    };
    let ((), stdout, stderr) =
        tokio::join!(feed, drain(stdout, MOST_OUTPUT, on_out), drain(stderr, MOST_ERRORS, on_error));
    let status = child.inner.wait().await.map_err(|e| cannot_start(argv, &e))?;
    child.finished = true;
    Ok(Output { code: status.code(), stdout, stderr })
}

/// Reads a pipe to its end; of more than `most` bytes, only the end is kept.
async fn drain(
    pipe: Option<impl AsyncRead + Unpin>,
    most: usize,
    mut on_line: impl FnMut(&str) -> bool,
) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::new();
    let Some(pipe) = pipe else { return kept };
    let mut lines = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line without end cannot fill the memory.
        let keep = match (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return kept,
            Ok(_) => on_line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])),
        };
        if !keep {
            continue;
        }
        kept.extend_from_slice(&line);
        if kept.len() > most + most / 2 {
            kept.drain(..kept.len() - most);
        }
    }
}

/// A program that runs as long as this is kept: its stdin stays open, its output is
/// thrown away.
#[derive(Debug)]
pub struct Held {
    _child: Group,
    _stdin: Option<tokio::process::ChildStdin>,
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
        let Some(pid) = self.inner.id().filter(|_| !self.finished) else { return };
        signal_group("TERM", pid);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                signal_group("KILL", pid);
            });
        }
    }
}

/// kill(1), because the crate has no unsafe code of its own.
#[expect(clippy::disallowed_methods, reason = "this is the door to other programs")]
fn signal_group(signal: &str, pid: u32) {
    let mut command = std::process::Command::new("kill");
    command.args(["-s", signal, "--", &format!("-{pid}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // The group may have ended by itself: then there is nothing to do.
    let _ = command.status();
}

fn cannot_start(argv: &Argv, error: &std::io::Error) -> Failure {
    let failure = Failure::new(Aftermath::Unreachable, format!("cannot start {}: {error}", argv.program));
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            failure.help(format!("install {} or put it on PATH, then try again", argv.program))
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_to_what_a_variable_holds() {
        let argv = Argv::new("nix").line("NIX_CONFIG", "a = 1").line("NIX_CONFIG", "b = 2");
        let variables = lengthened(&argv, |name| format!("{name} = old"));
        assert_eq!(variables["NIX_CONFIG"], "NIX_CONFIG = old\na = 1\nb = 2");
    }
}
