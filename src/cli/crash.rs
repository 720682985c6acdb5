//! What a user sees when something went wrong: a failure in words, and for a panic,
//! which is always our bug, one sentence instead of a backtrace.

use std::io::{ErrorKind, Write as _};
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

use crate::error::{Aftermath, Failure, Result, drives};
use crate::pipeline::Footprint;
use crate::report::{self, page::Page};

/// Replaces Rust's report of a panic by one sentence on stderr.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        // Nothing is left to do for who cannot even write.
        let _ = writeln!(std::io::stderr(), "error: {}", sentence(info));
    }));
}

/// What the command at work has touched; a panic takes everything else with it.
static TOUCHED: Mutex<Option<Footprint>> = Mutex::new(None);

/// Keeps at hand what a command touches, for the case that it panics.
pub fn remember(footprint: &Footprint) {
    *TOUCHED.lock().unwrap_or_else(PoisonError::into_inner) = Some(footprint.clone());
}

/// Runs the command. A panic, which the hook has reported, becomes exit code 1 as long as
/// nothing was touched; then it becomes a failure that says what was, and where to look.
///
/// # Errors
/// The command's own failure, or that.
pub fn caught(command: impl FnOnce() -> Result<u8>) -> Result<u8> {
    std::panic::catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        let touched = TOUCHED.lock().unwrap_or_else(PoisonError::into_inner).take();
        touched.unwrap_or_default().broken_off().map_or(Ok(Aftermath::Bug.code()), Err)
    })
}

/// Prints a failure on stderr, where no reporter is at work.
pub fn show(failure: &Failure) {
    let text = report::ci::inert(&report::failure::text(failure, Page::PLAIN));
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints on stdout, where no reporter is at work. A reader that closed the pipe has seen
/// enough.
///
/// # Errors
/// When not all of it could be written.
pub fn print(text: &[u8]) -> Result<u8> {
    whole(report::put(&mut std::io::stdout().lock(), text))?;
    Ok(0)
}

fn whole(written: std::io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Aftermath::Bug,
            format!("the output is not whole: cannot write to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Prints what clap says, be it an error, `--help` or `--version`, and returns the exit code.
/// An argument that it repeats drives no terminal, and no pipeline.
pub fn show_usage(usage: &clap::Error) -> u8 {
    let text = usage.render().to_string();
    let harmless: String = text.chars().filter(|c| *c == '\n' || !drives(*c)).collect();
    let harmless = report::ci::inert(&harmless);
    let written = if text == harmless { usage.print() } else { writeln!(std::io::stderr(), "{harmless}") };
    match whole(written) {
        Err(failure) if !usage.use_stderr() => {
            show(&failure);
            failure.aftermath.code()
        }
        _ => u8::try_from(usage.exit_code()).unwrap_or(2),
    }
}

fn sentence(info: &PanicHookInfo<'_>) -> String {
    let said = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
    format!("this is a bug in deployvm{place} ({said}): please report it with the command you typed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::VmName;

    #[test]
    fn the_code_of_a_panic_says_what_was_touched() {
        let footprint = Footprint::default();
        let vm = "vm1".parse::<VmName>().unwrap();
        let panics = |touch: &dyn Fn()| {
            caught(|| {
                remember(&footprint);
                touch();
                panic!("on purpose")
            })
        };
        assert_eq!(caught(|| panic!("on purpose")), Ok(1));
        assert_eq!(panics(&|| ()), Ok(1));
        assert_eq!(panics(&|| footprint.sends_derivations()).unwrap_err().aftermath.code(), 20);
        assert_eq!(panics(&|| footprint.sends()).unwrap_err().aftermath.code(), 20);
        let failure = panics(&|| footprint.begins(&vm)).unwrap_err();
        assert_eq!(failure.aftermath.code(), 40);
        assert_eq!(failure.message, "left while vm1 was being switched");
        assert!(failure.help.unwrap().contains("deployvm history vm1"));
        // Verified: but whoever panics has not said so.
        let failure = panics(&|| footprint.ends(&vm, 0)).unwrap_err();
        assert_eq!(failure.aftermath.code(), 40);
        assert!(failure.help.unwrap().contains("deployvm history"));
        assert_eq!(caught(|| Ok(3)), Ok(3));
    }
}
