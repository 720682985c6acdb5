//! What becomes of a command whose output nobody takes, or which cannot be written.

use std::io::{PipeReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Place, flake, place};

/// Longer than what is left to say is waited for after a signal.
const SOON: Duration = Duration::from_secs(30);
/// What a pipe takes.
const PIPE: usize = 65_536;

fn command(place: &Place, args: &[&str]) -> Command {
    // Where whoever tests ignores SIGHUP (nohup), deployvm would as well.
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_deployvm")]).args(args);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.current_dir(&place.0).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A pipe into which nothing more goes until somebody reads.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'.'; PIPE]).unwrap();
    (reader, writer.into())
}

/// The same, but whoever writes into it is not made to wait (`O_NONBLOCK`).
fn full_pipe_that_nobody_waits_for() -> (PipeReader, Stdio) {
    const NONBLOCK: i32 = 0o4000;
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'.'; PIPE]).unwrap();
    let same = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let again = std::fs::OpenOptions::new().write(true).custom_flags(NONBLOCK).open(same).unwrap();
    (reader, again.into())
}

fn full_disk() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// Its exit code and what it said on stderr.
fn ended(command: &mut Command) -> (i32, String) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Looks again and again until it is so.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    while began.elapsed() < SOON {
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Waits until it listens to signals, and sends one.
fn signal(child: &Child, name: &str, number: u32) {
    let status = format!("/proc/{}/status", child.id());
    let listens = until(|| {
        let status = std::fs::read_to_string(&status).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        (u64::from_str_radix(mask, 16).unwrap() >> (number - 1) & 1 == 1).then_some(())
    });
    listens.unwrap();
    let kill = format!("kill -s {name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// The exit code, if it ends.
fn end(mut child: Child) -> Option<i32> {
    let ended = until(|| child.try_wait().unwrap());
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ended?.code()
}

#[test]
fn signals_are_heard_where_nobody_reads() {
    let here = flake("");
    let children = [("HUP", 1), ("INT", 2), ("TERM", 15)].map(|(name, number)| {
        let (reader, stderr) = full_pipe();
        // Nobody listens there.
        let mut status = command(&here, &["status", "--no-eval", "-H", "root@127.0.0.1:1"]);
        let child = status.stderr(stderr).spawn().unwrap();
        signal(&child, name, number);
        (name, child, reader)
    });
    for (name, child, _reader) in children {
        // Before or after it was seen that nobody does.
        assert!(matches!(end(child), Some(11 | 130)), "{name}");
    }
}

#[test]
fn an_answer_that_nobody_takes_is_given_up_at_a_signal() {
    let here = flake("");
    let (_reader, stdout) = full_pipe();
    let child = command(&here, &["config", "--no-eval"]).stdout(stdout).spawn().unwrap();
    signal(&child, "TERM", 15);
    assert_eq!(end(child), Some(130));
}

#[test]
fn work_is_done_where_nobody_reads() {
    let here = place(&[]);
    let (_reader, stdout) = full_pipe();
    let child = command(&here, &["init", "single"]).stdout(stdout).spawn().unwrap();
    signal(&child, "INT", 2);
    assert_eq!(end(child), Some(0));
    assert!(here.0.path().join("flake.nix").exists());
}

#[test]
fn who_reads_late_gets_everything() {
    let (mut reader, stdout) = full_pipe();
    let here = flake("");
    // The command that is thrown away has the pipe's other end.
    let child = command(&here, &["config", "--no-eval", "--json"]).stdout(stdout).spawn().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(end(child), Some(0));
    let object: serde_json::Value = serde_json::from_str(text.trim_start_matches('.')).unwrap();
    assert_eq!(object["schema"], 1);
}

#[test]
fn who_reads_late_gets_everything_through_a_pipe_that_does_not_wait() {
    let here = flake("");
    for (args, ends) in [(&["config", "--no-eval", "--json"][..], "}\n"), (&["completions", "zsh"], "\n")] {
        let (mut reader, stdout) = full_pipe_that_nobody_waits_for();
        let mut child = command(&here, args).stdout(stdout).spawn().unwrap();
        // Long enough to find that nothing goes in.
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(child.try_wait().unwrap(), None, "{args:?}");
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(end(child), Some(0), "{args:?}");
        let said = text.trim_start_matches('.');
        assert!(said.len() > 100 && said.ends_with(ends), "{args:?} {said}");
    }
    let (mut reader, stderr) = full_pipe_that_nobody_waits_for();
    // Nobody listens there.
    let child =
        command(&here, &["status", "--no-eval", "-H", "root@127.0.0.1:1"]).stderr(stderr).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(end(child), Some(11));
    assert!(text.contains("cannot reach") && text.contains("state: nothing was changed"), "{text}");
}

#[test]
fn an_answer_that_cannot_be_written_is_none() {
    let here = flake("");
    for args in [&["config", "--no-eval", "--json"][..], &["config", "--no-eval", "-q"]] {
        let (code, said) = ended(command(&here, args).stdout(full_disk()));
        assert_eq!(code, 1, "{said}");
        let whole = "error: the output is not whole: cannot write to stdout: ";
        assert!(said.starts_with(whole) && said.lines().count() == 1, "{said}");
    }
    for args in [&["man", "push"][..], &["man", "--list"], &["completions", "bash"], &["--help"], &["-V"]] {
        let (code, said) = ended(command(&here, args).stdout(full_disk()));
        assert_eq!(code, 1, "{args:?} {said}");
        assert!(said.contains("the output is not whole"), "{args:?} {said}");
    }
}

#[test]
fn what_was_done_keeps_its_code_where_it_cannot_be_told() {
    let here = place(&[]);
    let (code, said) = ended(command(&here, &["init", "single"]).stdout(full_disk()));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the output is not whole"), "{said}");
    assert!(here.0.path().join("flake.nix").exists());
}

#[test]
fn who_has_seen_enough_hears_no_complaint() {
    let here = flake("");
    for args in [&["config", "--no-eval"][..], &["man", "push"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(ended(command(&here, args).stdout(writer)), (0, String::new()), "{args:?}");
    }
}
