//! The house holds itself up: file sizes, names, module docs, and which room may
//! import which. `src/lib.rs` says why the rooms are as they are.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Lines that no Rust file may exceed.
const MOST_LINES: usize = 400;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "imp", "misc"];

/// Each room with the rooms that it may import; itself and `error` always. `main`
/// and `lib` are single files.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["model", "pipeline", "report"]),
    ("pipeline", &["model", "stage", "plan", "report", "host"]),
    ("stage", &["model", "tool", "host"]),
    ("report", &["model"]),
    ("tool", &["model"]),
    ("plan", &["model"]),
    ("host", &["model"]),
    ("model", &[]),
    ("error", &[]),
];

struct File {
    /// Relative to the repository.
    path: String,
    text: String,
}

impl File {
    /// The parts below `src/`, such as `["report", "plan"]`; `None` outside.
    fn module(&self) -> Option<Vec<&str>> {
        let inner = self.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        Some(inner.split('/').filter(|part| *part != "mod").collect())
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &str, extension: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut open = vec![root().join(dir)];
    while let Some(dir) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                // Crates of their own, such as the fuzzer, may be built in place.
                if path.file_name().is_none_or(|name| name != "target") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|end| end == extension) {
                found.push(read(&path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn read(path: &Path) -> File {
    let text = std::fs::read_to_string(path).unwrap();
    let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    File { path, text }
}

fn rust_files() -> Vec<File> {
    let files: Vec<File> = ["src", "tests"].iter().flat_map(|dir| files_below(dir, "rs")).collect();
    assert!(files.len() > 10, "the house was not found");
    files
}

/// Code without comments, so that a doc link is not an import.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| match line.find("//") {
        // `"http://…"` is not a comment; a missed comment costs nothing here.
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The names that follow `prefix::`, also in braces: `crate::{error, model::name}`.
fn named_after(prefix: &str, code: &str) -> BTreeSet<String> {
    let needle = format!("{prefix}::");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(&needle) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
            continue;
        }
        let after = code[at + needle.len()..].trim_start();
        match after.strip_prefix('{') {
            Some(inside) => names.extend(top_level(inside).into_iter().map(first_name)),
            None => names.extend([first_name(after)]),
        }
    }
    names.remove("");
    names
}

/// The parts between the commas of a brace that has just been opened.
fn top_level(inside: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&inside[start..at]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn first_name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Rooms that this file names, as a library's module or as its binary.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let rooms: BTreeSet<&str> = ALLOWED.iter().map(|(room, _)| *room).collect();
    let named = ["crate", "deployvm"].iter().flat_map(|prefix| named_after(prefix, code));
    named.filter(|name| rooms.contains(name.as_str())).collect()
}

/// Other stages that a stage's file names, whichever way it says so.
fn stages_named(module: &[&str], code: &str, stages: &BTreeSet<String>) -> BTreeSet<String> {
    let own = module.get(1).copied().unwrap_or_default();
    // From `stage::copy` one `super` leads to the stages, from `stage::copy::x` two.
    let up = vec!["super"; module.len().saturating_sub(1)].join("::");
    let mut named = named_after("crate::stage", code);
    // `use crate::{stage::copy, …}`
    named.extend(named_after("stage", code));
    if !up.is_empty() {
        named.extend(named_after(&up, code));
    }
    named.into_iter().filter(|name| name != own && stages.contains(name)).collect()
}

#[test]
fn no_file_is_too_long() {
    let lines = |file: &File| file.text.lines().count();
    let long = rust_files().into_iter().filter(|file| lines(file) > MOST_LINES);
    let long: Vec<String> = long.map(|file| format!("{}: {}", file.path, lines(&file))).collect();
    assert!(long.is_empty(), "over {MOST_LINES} lines; split by noun: {long:#?}");
}

#[test]
fn every_file_opens_with_what_it_owns() {
    let silent = rust_files().into_iter().filter(|file| !file.text.starts_with("//! "));
    let silent: Vec<String> = silent.map(|file| file.path).collect();
    assert!(silent.is_empty(), "no `//!` in the first line: {silent:#?}");
}

#[test]
fn names_say_what_is_inside() {
    let empty = |path: &str| {
        let parts = path.trim_end_matches(".rs").split('/');
        parts.into_iter().any(|part| EMPTY_NAMES.contains(&part))
    };
    let nameless: Vec<String> = rust_files().into_iter().map(|f| f.path).filter(|p| empty(p)).collect();
    assert!(nameless.is_empty(), "named after nothing: {nameless:#?}");
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for file in rust_files() {
        let Some(module) = file.module() else { continue };
        let Some(room) = module.first().filter(|room| **room != "lib") else { continue };
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == room) else {
            wrong.push(format!("{}: no such room", file.path));
            continue;
        };
        for named in rooms_named(&code(&file.text)) {
            if named != *room && named != "error" && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{}: {room} must not know {named}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn stages_do_not_know_each_other() {
    let files = files_below("src/stage", "rs");
    let stages: BTreeSet<String> =
        files.iter().filter_map(|f| f.module()?.get(1).map(|stage| (*stage).to_owned())).collect();
    for file in &files {
        let Some(module) = file.module().filter(|module| module.len() > 1) else { continue };
        let named = stages_named(&module, &code(&file.text), &stages);
        assert!(named.is_empty(), "{} knows other stages: {named:?}", file.path);
    }
}

#[test]
fn scripts_say_what_they_take_and_give() {
    for script in files_below("src/host/scripts", "sh") {
        let mut lines = script.text.lines().skip_while(|line| line.starts_with("#!"));
        let header: Vec<&str> = lines.by_ref().take_while(|line| line.starts_with('#')).collect();
        let says_something = header.iter().any(|line| line.trim_start_matches('#').trim().len() > 10);
        assert!(says_something, "{} has no header comment", script.path);
    }
}

#[test]
fn this_test_can_see() {
    let sample = code(
        "use crate::{error::Failure, host::{ssh, git}, stage::copy};\n\
         // crate::plan is only spoken of\n\
         fn f() -> crate::model::name::VmName { mycrate::cli::x() } // crate::cli\n\
         use super::super::build; let url = \"http://x\";",
    );
    let named: Vec<String> = rooms_named(&sample).into_iter().collect();
    assert_eq!(named, ["error", "host", "model", "stage"]);
    let stages = BTreeSet::from(["build".to_owned(), "copy".to_owned(), "judge".to_owned()]);
    let named = |module: &[&str], code: &str| stages_named(module, code, &stages).into_iter().next();
    assert_eq!(named(&["stage", "copy", "x"], &sample).as_deref(), Some("build"));
    assert_eq!(named(&["stage", "build"], "use super::judge::J;").as_deref(), Some("judge"));
    assert_eq!(named(&["stage", "build"], "use crate::stage::{copy};").as_deref(), Some("copy"));
    assert_eq!(named(&["stage", "build"], "use crate::{error, stage::copy};").as_deref(), Some("copy"));
    assert_eq!(named(&["stage", "build", "x"], "use super::judge::J;"), None);
}

#[test]
fn the_entry_command_does_what_a_root_login_is_asked_to() {
    let entry = read(&root().join("nix/modules/entry.sh")).text;
    let command = deployvm::host::script::COMMAND;
    assert!(entry.ends_with(&format!("\nexec {command}\n")), "{entry}");
    let prelude = read(&root().join("src/host/scripts/prelude.sh")).text;
    let path = |text: &str| text.lines().find(|l| l.starts_with("PATH=")).unwrap().to_owned();
    assert!(path(&prelude).starts_with(&path(&entry)), "they look in different places");
}
