//! The whole matrix in slices: results are lines of a file in the repository, and a cell
//! that has one is not run again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::cell::{Bench, Report};
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
        let pair = |line: &str| line.split_once(" | ").map(|(cell, rest)| (cell.to_owned(), rest.to_owned()));
        Self { lines: text.lines().filter_map(pair).collect(), path }
    }

    fn good(&self, cell: &Cell) -> Option<&str> {
        self.lines.get(&cell.name()).map(String::as_str).filter(|line| !line.starts_with("FAILED"))
    }

    fn put(&mut self, cell: &Cell, said: String) {
        self.lines.insert(cell.name(), said);
        let mut text = String::new();
        for cell in Cell::all() {
            if let Some(said) = self.lines.get(&cell.name()) {
                let _ = writeln!(text, "{} | {said}", cell.name());
            }
        }
        std::fs::write(&self.path, text).unwrap();
    }

    /// One table for each verb: where vm1 and vm2 ended.
    fn table(&self) -> String {
        let mut text = String::new();
        for verb in VERBS {
            let _ = write!(text, "\n{verb:15}");
            for number in 1..=STEPS.len() {
                let _ = write!(text, " {number:2} ");
            }
            text.push('\n');
            for (fault, name) in FAULTS {
                let _ = write!(text, "{name:15}");
                for step in &STEPS {
                    let cell = Cell { verb, step, fault };
                    let _ = write!(text, " {:3}", self.mark(&cell));
                }
                text.truncate(text.trim_end().len());
                text.push('\n');
            }
        }
        text.push_str("\nsteps: ");
        let steps = STEPS.iter().enumerate().map(|(index, step)| format!("{} {}", index + 1, step.name));
        text.push_str(&steps.collect::<Vec<_>>().join(", "));
        text.push_str(
            "\nvm1 and vm2: o old, n new, t what another laptop wished; = cannot be or differ; ? to do\n",
        );
        text
    }

    fn mark(&self, cell: &Cell) -> String {
        if let Fate::Not(_) = cell.fate() {
            return "=".to_owned();
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

    /// Why cells are not run, each reason with what it holds for.
    fn reasons() -> String {
        let mut why: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for cell in Cell::all() {
            if let Fate::Not(reason) = cell.fate() {
                why.entry(reason).or_default().push(cell.name());
            }
        }
        why.into_iter().map(|(reason, cells)| format!("{} cells: {reason}\n", cells.len())).collect()
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
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab/faults/results.txt");
    let mut results = Results::read(source);
    let minutes = asked("LAB_MINUTES").map_or(30, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let only = asked("LAB_ONLY").unwrap_or_default();
    let mut todo: Vec<Cell> = Cell::all();
    todo.retain(|cell| matches!(cell.fate(), Fate::Ends(..)) && results.good(cell).is_none());
    todo.retain(|cell| cell.name().contains(&only));
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
            bench = Some((small, Bench::up(small)));
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
    eprintln!("{}\n{}", results.table(), Results::reasons());
    let left = Cell::all().into_iter().filter(|c| matches!(c.fate(), Fate::Ends(..)));
    let left = left.filter(|cell| results.good(cell).is_none()).count();
    eprintln!("{left} cells to do");
    assert_eq!(failed, 0, "cells that failed; they are run again next time");
}
