//! Parsers of foreign text against inputs that nobody would write. Each target takes any
//! bytes and must neither panic nor hang, and what it lets through must be what its type
//! says. It begins with the files in `corpus/TARGET`, changes them, and goes on from what
//! led somewhere new.
//!
//! `DEPLOYVM_FUZZ_SECONDS` (1) bounds each target, `DEPLOYVM_FUZZ_SEED` makes it roll other
//! dice; `tests/fuzz/run` sets both. A finding is left in `target/fuzz`, and belongs into
//! the corpus once it is mended.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test has its own clock and environment")]

mod graph;
mod mutate;
mod system;
mod targets;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use mutate::{Dice, mutate};

/// Inputs that are gone on from.
const MOST_POOL: usize = 4000;
/// One input that takes longer than this hangs; after twice that it is not waited for.
const HANGS: Duration = Duration::from_secs(20);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap())
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {}", dir.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A fingerprint of what came out: inputs with a new one are gone on from.
fn fingerprint(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Tries a target for as long as it may.
fn fuzz(name: &'static str, target: fn(&[u8]) -> u64) {
    let seconds = number("DEPLOYVM_FUZZ_SECONDS", 1);
    let mut dice = Dice(number("DEPLOYVM_FUZZ_SEED", 1));
    let mut seen = HashSet::new();
    let mut pool = corpus(name);
    let (at_work, watched) = channel();
    std::thread::spawn(move || watch(name, &watched));
    let attempt = |input: &[u8]| {
        at_work.send(Some(input.to_vec())).unwrap();
        let kind = attempt(name, target, input);
        at_work.send(None).unwrap();
        kind
    };
    for input in &pool {
        seen.insert(attempt(input));
    }
    let (began, mut tries) = (Instant::now(), 0_u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        let input = mutate(&mut dice, &pool);
        tries += 1;
        if seen.insert(attempt(&input)) {
            if pool.len() < MOST_POOL {
                pool.push(input);
            } else {
                let at = dice.below(MOST_POOL);
                pool[at] = input;
            }
        }
    }
    eprintln!("{name}: {tries} inputs in {seconds} s, {} kinds of outcome", seen.len());
}

fn attempt(name: &str, target: fn(&[u8]) -> u64, input: &[u8]) -> u64 {
    let began = Instant::now();
    match catch_unwind(AssertUnwindSafe(|| target(input))) {
        Ok(kind) if began.elapsed() < HANGS => kind,
        _ => panic!("{name}: a finding after {:?}: {}", began.elapsed(), leave(name, input).display()),
    }
}

/// Ends everything when one input does not come back at all.
fn watch(name: &str, at_work: &Receiver<Option<Vec<u8>>>) {
    while let Ok(input) = at_work.recv() {
        let Some(input) = input else { continue };
        if at_work.recv_timeout(HANGS * 2) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{name}: it hangs: {}", leave(name, &input).display());
            std::process::abort();
        }
    }
}

/// Leaves an input for whoever mends what it has found.
fn leave(name: &str, input: &[u8]) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join(format!("{name}-{:016x}", fingerprint(input)));
    std::fs::write(&file, input).unwrap();
    file
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name), targets::$name);
        })*
    };
}

targets! {
    reply observation internal_json nix_errors inventory closures ledger generations settings_file
    output names metadata events terms status journal derivation system
}
