//! The whole matrix in slices: results are lines of a file in the repository, and a cell
//! that has one is not run again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::cell::{Bench, DEADLINES, Report};
use super::cells::{Cell, FAULTS, Fate, VERBS};
use super::gate::STEPS;

/// The results: `VERB / STEP / FAULT | vm1 vm2 | exit | what the ledger says`.
pub struct Results {
    path: PathBuf,
    lines: BTreeMap<String, String>,
}

impl Results {
    pub fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        Self { lines: parse(&text), path }
    }

    fn good(&self, cell: &Cell) -> Option<&str> {
        self.lines.get(&cell.name()).map(String::as_str).filter(|line| !line.starts_with("FAILED"))
    }

    /// Writes a result down, beside those that others have written meanwhile.
    fn put(&mut self, cell: &Cell, said: String) {
        let open =
            std::fs::File::options().read(true).write(true).create(true).truncate(false).open(&self.path);
        let mut file = open.unwrap();
        file.lock().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        self.lines = parse(&text);
        self.lines.insert(cell.name(), said);
        let mut text = String::new();
        for cell in Cell::all() {
            if let Some(said) = self.lines.get(&cell.name()) {
                let _ = writeln!(text, "{} | {said}", cell.name());
            }
        }
        file.set_len(0).unwrap();
        file.rewind().unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// One table for each verb: where vm1 and vm2 ended; then why some cells are not run.
    fn table(&self) -> String {
        let mut text = String::new();
        for verb in VERBS {
            let _ = write!(text, "{verb:15}");
            for number in 1..=STEPS.len() {
                let _ = write!(text, " {number:2} ");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
            for (fault, name) in FAULTS {
                let _ = write!(text, "{name:15}");
                for step in &STEPS {
                    let _ = write!(text, " {:3}", self.mark(&Cell { verb, step, fault }));
                }
                text.truncate(text.trim_end().len());
                text.push('\n');
            }
            text.push('\n');
        }
        for (index, step) in STEPS.iter().enumerate() {
            let _ = writeln!(text, "{:2}  {}", index + 1, step.name);
        }
        text.push_str("\no   the old runner    n  the new one    t  what another laptop wished\n");
        text.push_str("?   not run yet       !  failed\n\n");
        for (letter, reason) in LETTERS.chars().zip(reasons()) {
            let _ = writeln!(text, "{letter}   {reason}");
        }
        text
    }

    fn mark(&self, cell: &Cell) -> String {
        if let Fate::Not(why) = cell.fate() {
            let index = reasons().iter().position(|reason| *reason == why).unwrap();
            return LETTERS[index..=index].to_owned();
        }
        match self.lines.get(&cell.name()) {
            None => "?".to_owned(),
            Some(line) if line.starts_with("FAILED") => "!".to_owned(),
            Some(line) => {
                let ends = line.split(" | ").next().unwrap_or_default();
                ends.split(' ').filter_map(|end| end.chars().next()).collect()
            }
        }
    }

    /// The document with this table at its end.
    fn document(&self) -> String {
        let text = std::fs::read_to_string(document()).unwrap();
        let rules = text.split(TABLE).next().unwrap();
        let run = Cell::all().into_iter().filter(|c| matches!(c.fate(), Fate::Ends(..)));
        let (all, done) =
            run.fold((0, 0), |(all, done), cell| (all + 1, done + usize::from(self.good(&cell).is_some())));
        format!(
            "{rules}{TABLE}\n\nWhere vm1, at which the fault was brought about, and vm2, which comes after it, \
             ended: {done} of {all} cells have been run. `tests/lab/matrix` runs the others and writes this table.\n\n\
             ```\n{}```\n",
            self.table()
        )
    }
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once(" | ").map(|(cell, rest)| (cell.to_owned(), rest.to_owned()));
    text.lines().filter_map(pair).collect()
}

/// Marks for cells that are not run.
const LETTERS: &str = "abcdefghij";

/// Where the table begins in the document.
const TABLE: &str = "## The table";

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md")
}

fn results() -> Results {
    Results::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab/faults/results.txt"))
}

/// Why cells are not run, each reason once.
fn reasons() -> Vec<&'static str> {
    let mut all: Vec<&str> = Vec::new();
    for cell in Cell::all() {
        if let Fate::Not(why) = cell.fate()
            && !all.contains(&why)
        {
            all.push(why);
        }
    }
    all
}

#[test]
fn the_document_has_the_results() {
    let results = results();
    assert_eq!(std::fs::read_to_string(document()).unwrap(), results.document());
    // What has been run ended as the rules say now.
    for cell in Cell::all() {
        let Some(line) = results.good(&cell) else { continue };
        let Fate::Ends(first, second) = cell.fate() else { panic!("{} is not to be run", cell.name()) };
        let words: Vec<&str> = line.split([' ', '|']).filter(|word| !word.is_empty()).collect();
        let (ends, code) = ([words[0], words[1]], words[2].parse().unwrap());
        for (end, wanted) in ends.iter().zip([first, second]) {
            assert!(wanted.split('|').any(|word| word == *end), "{}: {line}", cell.name());
        }
        assert!(cell.exits(ends).contains(&code), "{}: {line}", cell.name());
        // And it says why.
        assert!(words.len() >= 4 && !line.ends_with(' '), "{}: {line}", cell.name());
    }
}

/// The rest of a line.
pub fn said(report: &Report) -> String {
    let [first, second] = report.ends;
    format!("{} {} | {} | {}", first.word(), second.word(), report.exit, report.said)
}

/// Runs a cell; what went wrong is text.
pub fn attempt(bench: &mut Bench, cell: &Cell) -> Result<Report, String> {
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| bench.run(cell)));
    let seconds = began.elapsed().as_secs();
    match result {
        Ok(report) => {
            eprintln!("ok    {} | {} ({seconds} s)", cell.name(), said(&report));
            Ok(report)
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            eprintln!("FAIL  {} ({seconds} s): {text}\n{}", cell.name(), bench.lab.journal());
            Err(text)
        }
    }
}

/// A variable of the scripts beside: `LAB_MINUTES`, `LAB_ONLY` and others.
pub fn asked(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[test]
#[ignore = "hours: tests/lab/matrix runs it in slices"]
fn matrix() {
    let mut results = results();
    let minutes = asked("LAB_MINUTES").map_or(30, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let only = asked("LAB_ONLY").unwrap_or_default();
    let mut todo: Vec<Cell> = Cell::all();
    todo.retain(|cell| matches!(cell.fate(), Fate::Ends(..)));
    if let Some((part, parts)) = asked("LAB_PART").as_deref().and_then(|text| text.split_once('/')) {
        let (part, parts): (usize, usize) = (part.parse().unwrap(), parts.parse().unwrap());
        let mut index = 0..;
        todo.retain(|_| index.next().is_some_and(|index| index % parts == part - 1));
    }
    todo.retain(|cell| results.good(cell).is_none() && cell.name().contains(&only));
    // Those that ask for another lab last; the others mixed, so that a slice has of each.
    let mixed = |cell: &Cell| {
        cell.name().bytes().fold(7_u32, |sum, b| sum.wrapping_mul(31).wrapping_add(u32::from(b)))
    };
    todo.sort_by_key(|cell| (cell.fault.needs_small_disks(), mixed(cell)));
    let mut bench: Option<(bool, Bench)> = None;
    let mut failed = 0;
    for cell in &todo {
        // The longest take three minutes.
        if Instant::now() + Duration::from_secs(180) > end && minutes > 3 {
            break;
        }
        let small = cell.fault.needs_small_disks();
        if bench.as_ref().is_none_or(|(is, _)| *is != small) {
            // The old one goes first.
            drop(bench.take());
            bench = Some((small, Bench::up(small, DEADLINES)));
        }
        let Some((_, at_work)) = &mut bench else { break };
        match attempt(at_work, cell) {
            Ok(report) => results.put(cell, said(&report)),
            Err(text) => {
                failed += 1;
                results.put(cell, format!("FAILED {}", text.lines().next().unwrap_or_default()));
                bench = None;
            }
        }
    }
    drop(bench);
    // With what others have written meanwhile.
    results = self::results();
    std::fs::write(document(), results.document()).unwrap();
    eprintln!("{}", results.table());
    let left = Cell::all().into_iter().filter(|c| matches!(c.fate(), Fate::Ends(..)));
    let left = left.filter(|cell| results.good(cell).is_none()).count();
    eprintln!("{left} cells to do");
    assert_eq!(failed, 0, "cells that failed; they are run again next time");
}
