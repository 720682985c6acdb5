//! `docs/tutorial.md`, typed word for word into a terminal on a lab's laptop. What comes
//! back is what the document shows, but for hashes, sizes and times.

use std::path::PathBuf;
use std::process::Command;

use regex::Regex;

use crate::harness::Lab;
use crate::running::{Running, until};

/// The terminal's columns.
const COLUMNS: &str = "100";

/// What a reader does.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Writes a file: a block whose language is followed by a name.
    File { name: String, text: String },
    /// Types a line, and sees these: a line after `$ ` in a `console` block, and those below.
    Line { typed: String, seen: Vec<String> },
}

/// The steps of a document, in order.
fn steps(document: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match info.split_once(' ') {
            Some((_, name)) => {
                steps.push(Step::File { name: name.to_owned(), text: block.join("\n") + "\n" });
            }
            None if info == "console" => steps.extend(typed(&block)),
            None => panic!("a block that is neither console nor a file: {info:?}"),
        }
    }
    steps
}

fn typed(block: &[&str]) -> Vec<Step> {
    let mut steps = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(typed), _) => steps.push(Step::Line { typed: typed.to_owned(), seen: Vec::new() }),
            (None, Some(Step::Line { seen, .. })) => seen.push((*line).to_owned()),
            (None, _) => panic!("a console block begins with a line to type, not {line:?}"),
        }
    }
    steps
}

/// A line without what is different each time: hashes, sizes, times, and how wide they are.
fn plain(line: &str) -> String {
    let variable = [
        (r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}Z?)?", "TIME"),
        (r"\b[0-9]+(\.[0-9]+)? (ms|s|min)\b", "LONG"),
        (r"\b[0-9]+(\.[0-9]+)? [KMG]iB\b", "SIZE"),
        (r"\b[0-9a-f]{9}\b", "COMMIT"),
        (r"\b[0-9a-df-np-sv-z]{8}(-microvm|\b)", "HASH$1"),
        (r" {2,}", "  "),
    ];
    let plain = variable.iter().fold(line.trim_end().to_owned(), |line, (pattern, name)| {
        Regex::new(pattern).unwrap().replace_all(&line, *name).into_owned()
    });
    plain.trim_end().to_owned()
}

/// Whether these lines are those of the document, where `…` stands for any lines.
fn same(document: &[String], seen: &[String]) -> bool {
    match (document.split_first(), seen.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((first, rest)), _) if first == "…" => {
            (0..=seen.len()).any(|skipped| same(rest, &seen[skipped..]))
        }
        (Some((first, rest)), Some((line, after))) => plain(first) == plain(line) && same(rest, after),
        (Some(_), None) => false,
    }
}

/// A shell in a terminal on the laptop, as `tests/tutorial` opens one.
struct Terminal {
    directory: tempfile::TempDir,
    /// How many lines were typed; the prompt says the number of the next one.
    typed: usize,
}

impl Terminal {
    fn open(lab: &Lab) -> Self {
        let terminal = Self { directory: tempfile::tempdir().unwrap(), typed: 0 };
        let deployvm = PathBuf::from(env!("CARGO_BIN_EXE_deployvm"));
        let path = format!("{}:{}", deployvm.parent().unwrap().display(), std::env::var("PATH").unwrap());
        // The shell's environment is what tmux finds in its own.
        let mut shell = lab.command(&["bash", "--norc", "--noprofile"]);
        shell.env("PATH", path).env("PS1", r"[\#]$ ");
        for (name, _) in crate::harness::DEADLINES {
            shell.env_remove(name);
        }
        let mut tmux = terminal.tmux(&["new-session", "-d", "-x", COLUMNS, "-y", "50"]);
        tmux.arg("--").arg(shell.get_program()).args(shell.get_args());
        for (name, value) in shell.get_envs() {
            match value {
                Some(value) if name != "COLUMNS" => tmux.env(name, value),
                _ => tmux.env_remove(name),
            };
        }
        tmux.current_dir(lab.dir.join("home"));
        Running::start(tmux, false).wait(30).expect(0);
        until("a prompt", 30, || terminal.at_prompt());
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-f").arg("/dev/null").arg("-S").arg(self.directory.path().join("socket")).args(arguments);
        tmux
    }

    /// All lines so far, as a reader sees them.
    fn lines(&self) -> Vec<String> {
        let shown = Running::start(self.tmux(&["capture-pane", "-p", "-J", "-S", "-"]), false).wait(30);
        let mut lines: Vec<String> =
            shown.expect(0).stdout.lines().map(|line| line.trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    fn at_prompt(&self) -> Result<Vec<String>, String> {
        let lines = self.lines();
        match lines.last() {
            Some(last) if *last == format!("[{}]$", self.typed + 1) => Ok(lines),
            _ => Err(lines.join("\n")),
        }
    }

    fn keys(&self, text: &str) {
        Running::start(self.tmux(&["send-keys", "-l", "--", text]), false).wait(30).expect(0);
        Running::start(self.tmux(&["send-keys", "Enter"]), false).wait(30).expect(0);
    }

    /// Types a line, answers the question that the document shows, and returns what came back.
    fn types(&mut self, line: &str, document: &[String]) -> Vec<String> {
        let prompt = format!("[{}]$ ", self.typed + 1);
        self.keys(line);
        self.typed += 1;
        if let Some(answer) = document.iter().find_map(|line| line.split_once("[y/N] ")) {
            until("the question", 120, || match self.lines().last() {
                Some(last) if *last == format!("{}[y/N]", answer.0) => Ok(()),
                _ => Err(self.lines().join("\n")),
            });
            self.keys(answer.1);
        }
        let lines = until("the end of a command", 120, || self.at_prompt());
        let start = lines.iter().rposition(|line| line.starts_with(&prompt)).unwrap();
        lines[start + 1..lines.len() - 1].to_vec()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        Running::start(self.tmux(&["kill-server"]), false).wait(30);
    }
}

#[test]
fn the_tutorial_runs_as_written() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tutorial.md")).unwrap();
    let lab = Lab::up(&[]);
    let mut terminal = Terminal::open(&lab);
    for step in steps(&document) {
        match step {
            Step::File { name, text } => std::fs::write(lab.flake().join(name), text).unwrap(),
            Step::Line { typed, seen: wanted } => {
                let seen = terminal.types(&typed, &wanted);
                assert!(
                    same(&wanted, &seen),
                    "$ {typed}\n--- as written\n{}\n--- as seen\n{}\n---",
                    wanted.join("\n"),
                    seen.join("\n")
                );
            }
        }
    }
}

#[test]
fn what_a_document_says_is_read() {
    let document = "Text\n```console\n$ one\nout\n…\n$ two\n```\n```toml a.toml\nx = 1\n```\n";
    let line = |typed: &str, seen: &[&str]| Step::Line {
        typed: typed.into(),
        seen: seen.iter().map(|s| (*s).into()).collect(),
    };
    let file = Step::File { name: "a.toml".into(), text: "x = 1\n".into() };
    assert_eq!(steps(document), [line("one", &["out", "…"]), line("two", &[]), file]);

    let same = |a: &str, b: &str| {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        same(&lines(a), &lines(b))
    };
    assert!(same("built 3 in 4 ms", "built 3 in 1.2 s") && !same("built 3 in 4 ms", "built 2 in 4 ms"));
    assert!(same("2adj6kl8-microvm-qemu-vm1  x", "1h5kb5ym-microvm-qemu-vm1    x"));
    assert!(!same("2adj6kl8-microvm-qemu-vm1", "1h5kb5ym-microvm-qemu-vm2"));
    assert!(same("a\n…\nb", "a\nb") && same("…\nb", "a\n\nb") && !same("a\n…", "b\nc"));
    assert!(!same("a", "a\nb") && !same("a\nb", "a"));
}
