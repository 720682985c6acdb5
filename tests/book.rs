//! `docs/` is a book: every page is in its table of contents, every link between pages,
//! from the README too, leads somewhere, and every command in a block of code is one that
//! the real command line takes. `tests/all` builds it with mdBook.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;
use deployvm::cli::command::Cli;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| format!("{page}: {error}"))
}

/// The pages of the book, relative to `docs/`.
fn pages() -> BTreeSet<String> {
    let docs = root().join("docs");
    let (mut found, mut open) = (BTreeSet::new(), vec![docs.clone()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&docs).unwrap().to_str().unwrap().to_owned();
            match path.extension() {
                _ if path.is_dir() => open.push(path),
                Some(end) if end == "md" && name != "SUMMARY.md" => _ = found.insert(name),
                _ => {}
            }
        }
    }
    found
}

/// All that people read: the book, its table of contents, and what is beside it.
fn documents() -> Vec<String> {
    let others = ["README.md", "docs/SUMMARY.md", "tests/lab/README.md"].map(str::to_owned);
    let templates = ["infra", "single"].map(|name| format!("templates/{name}/README.md"));
    pages().into_iter().map(|page| format!("docs/{page}")).chain(others).chain(templates).collect()
}

/// The lines of a page, each with whether it is code.
fn lines(text: &str) -> Vec<(bool, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else {
            lines.push((fenced || line.starts_with("    "), line));
        }
    }
    lines
}

/// Where the links of a page lead to.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, line) in lines(text).into_iter().filter(|(code, _)| !code) {
        // Code in a line is no link.
        let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for rest in line.split("](").skip(1) {
            found.extend(rest.split_once(')').map(|(target, _)| target.to_owned()));
        }
    }
    found
}

/// The anchors of a page's headings, as mdBook and GitHub make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (_, line) in lines(text).into_iter().filter(|(code, _)| !code) {
        let Some(heading) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#').trim()) else {
            continue;
        };
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        let id: String = kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let mut name = id.clone();
        let mut count = 0;
        while !all.insert(name) {
            count += 1;
            name = format!("{id}-{count}");
        }
    }
    all
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." { _ = plain.pop() } else { plain.push(part) }
    }
    plain
}

/// What is wrong with a link of a page, if anything is.
fn broken(page: &str, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let page = root().join(page);
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { page.clone() } else { plain(&page.parent().unwrap().join(file)) };
    let docs = root().join("docs");
    if page.starts_with(&docs) && !path.starts_with(&docs) {
        return Some(format!("{target} is not in the book"));
    }
    let Ok(text) = std::fs::read_to_string(&path) else {
        return (!path.is_dir()).then(|| format!("there is no {file}"));
    };
    let lost = !anchor.is_empty() && !anchors(&text).contains(anchor);
    lost.then(|| format!("{file} has no heading #{anchor}"))
}

/// The words of a command up to where a shell sees its end: an operator, a comment, or the
/// end of a quotation that the whole command stands in.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let rest: String = chars.clone().collect();
                let Some((inside, _)) = rest.split_once(c) else { break };
                word.push_str(inside);
                begun = true;
                chars.nth(inside.chars().count());
            }
            ' ' if !begun => {}
            ' ' => {
                words.push(std::mem::take(&mut word));
                begun = false;
            }
            '|' | ';' | '&' | '<' | '>' | ')' => break,
            '#' if !begun => break,
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// The commands of deployvm in a page's blocks of code, without `deployvm` itself.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (_, line) in lines(text).into_iter().filter(|(code, _)| *code) {
        for (at, name) in line.match_indices("deployvm ") {
            let before = &line[..at];
            // In a comment, or in a table.
            if line[at + name.len()..].starts_with(' ')
                || before.trim_start().starts_with('#')
                || before.contains(" # ")
            {
                continue;
            }
            // No part of a word.
            if before.chars().next_back().is_none_or(|c| matches!(c, ' ' | '(' | '\'' | '"')) {
                found.push(words(&line[at + name.len()..]));
            }
        }
    }
    found
}

/// What the command line has against a command, if anything.
fn refused(words: &[String]) -> Option<String> {
    let typed = std::iter::once("deployvm").chain(words.iter().map(String::as_str));
    match Cli::try_parse_from(typed) {
        Err(error) if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let why = error.to_string();
            Some(format!("deployvm {}: {}", words.join(" "), why.lines().next().unwrap_or_default()))
        }
        _ => None,
    }
}

#[test]
fn every_link_leads_somewhere() {
    let (mut count, mut wrong) = (0, Vec::new());
    for page in documents() {
        for target in links(&read(&page)) {
            count += 1;
            wrong.extend(broken(&page, &target).map(|why| format!("{page}: {why}")));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(count > 50, "only {count} links were found");
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let mut listed = links(&read("docs/SUMMARY.md"));
    listed.sort();
    assert_eq!(listed, pages().into_iter().collect::<Vec<_>>());
}

#[test]
fn every_command_can_be_typed() {
    let (mut count, mut wrong) = (0, Vec::new());
    // The reference says it in the program's own notation; tests/reference.rs looks at it.
    for page in documents().into_iter().filter(|page| page != "docs/reference.md") {
        for words in commands(&read(&page)) {
            count += 1;
            wrong.extend(refused(&words).map(|why| format!("{page}: {why}")));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(count > 50, "only {count} commands were found");
}

/// What follows `mark` in a script, as long as it is a word.
fn said_after<'a>(script: &'a str, mark: &str) -> impl Iterator<Item = &'a str> {
    let word = |rest: &'a str| {
        let rest = rest.trim_start_matches('"');
        &rest[..rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len())]
    };
    script.split(mark).skip(1).map(word).filter(|word| !word.is_empty())
}

/// The words in the first column of the table under a heading.
fn rows(page: &str, heading: &str) -> BTreeSet<String> {
    let page = read(page);
    let (_, table) = page.split_once(heading).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let told = rows.flat_map(|(words, _)| words.split('`').step_by(2)).map(str::to_owned);
    told.filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_words_for_what_went_wrong_are_those_of_the_scripts() {
    let mut said = BTreeSet::new();
    for part in ["begin", "checks", "library", "machine", "record", "switch", "trial", "transaction", "undo"]
    {
        let script = read(&format!("src/host/scripts/{part}.sh"));
        for mark in ["WHY=", "undo.", " refuse ", " fail "] {
            said.extend(said_after(&script, mark).map(str::to_owned));
        }
    }
    said.extend(said_after(&read("src/stage/judge.rs"), "\"undo.").map(str::to_owned));
    // The script's own name.
    said.remove("sh");
    assert_eq!(rows("docs/transaction.md", "## Words for what went wrong"), said);
}

#[test]
fn the_words_for_what_a_check_met_are_those_that_are_said() {
    let mut said = BTreeSet::new();
    for (file, marks) in [
        ("src/host/scripts/probe.sh", &["say ", "say \""][..]),
        ("src/host/scripts/checks.sh", &["FOUND="]),
        ("src/host/guest.rs", &["\", \"", "map_or(\"", "ok_or(\""]),
        ("src/stage/judge.rs", &["note = Some(\"", "== \"ok\" { \""]),
        ("src/plan/standing.rs", &[" Some(\"", "{tap}"]),
    ] {
        let text = read(file);
        let text = text.split("#[cfg(test)]").next().unwrap();
        for mark in marks {
            said.extend(said_after(text, mark).map(str::to_owned));
        }
    }
    // What passes; one of those that name a program.
    for word in ["ok", "no-getent"] {
        assert!(said.remove(word), "{word}");
    }
    let told = rows("docs/checks.md", "## Words for what a check met");
    let told: BTreeSet<String> =
        told.iter().map(|word| word.trim_matches(|c: char| c.is_ascii_uppercase()).to_owned()).collect();
    assert_eq!(told, said);
}

#[test]
fn what_is_wrong_is_seen() {
    let page = "docs/hook.md";
    assert!(broken(page, "nowhere.md").is_some());
    assert!(broken(page, "#nowhere").is_some());
    assert!(broken(page, "../README.md").is_some());
    assert!(broken(page, "#deploying-after-a-push").is_none());
    assert!(broken("docs/how-to/roll-back.md", "../hook.md#ways-out").is_none());
    assert_eq!(links("a [b](c.md), `[d](e)` and\n```\n[f](g)\n```\n[h](#i)"), ["c.md", "#i"]);
    assert_eq!(anchors("# A `b` c!\n## A b c\n").into_iter().collect::<Vec<_>>(), ["a-b-c", "a-b-c-1"]);
}

#[test]
fn commands_are_found_and_tried() {
    let block = |line: &str| commands(&format!("`deployvm in a line`\n```\n{line}\n```\n"));
    assert_eq!(
        block("$ deployvm push 'vm*' @web -y || exit"),
        [["push", "'vm*'", "@web", "-y"].map(|w| w.replace('\'', ""))]
    );
    assert_eq!(
        block("git config alias.ship '!git push && deployvm push --rev HEAD'"),
        [["push", "--rev", "HEAD"]]
    );
    assert_eq!(block("# deployvm would"), Vec::<Vec<String>>::new());
    assert_eq!(block("kill deployvm   ?   oo"), Vec::<Vec<String>>::new());
    assert_eq!(block("deployvm.toml and my-deployvm push"), Vec::<Vec<String>>::new());
    let refuses = |line: &str| refused(&words(line)).is_some();
    assert!(!refuses("push vm1 --yes   # a comment"));
    assert!(!refuses("push --help"));
    assert!(refuses("push vm1 --yess"));
    assert!(refuses("rollback"));
    assert!(refuses("push --wait soon"));
}
