//! `docs/reference.md` is made of the command line itself, and no document speaks of a
//! command or an option that there is not. After a change to the command line:
//! `UPDATE_REFERENCE=1 cargo test --test reference`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory as _};
use deployvm::cli::command::Cli;

/// Options of every command stand in one place only.
const EVERYWHERE: &str = "Options of every command";

fn deployvm() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|c| !c.is_hide_set())
}

fn is_everywhere(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(EVERYWHERE)
}

/// `-H, --hypervisor NAME|ADDRESS`, or `VM…`.
fn shape(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let many = arg.get_num_args().is_some_and(|range| range.max_values() > 2);
    if arg.is_positional() {
        let name = format!("{values}{}", if many { "…" } else { "" });
        let name = if arg.is_last_set() { format!("-- {name}") } else { name };
        return if arg.is_required_set() { name } else { format!("[{name}]") };
    }
    let names = [arg.get_short().map(|c| format!("-{c}")), arg.get_long().map(|l| format!("--{l}"))];
    let names = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let takes = arg.get_action().takes_values();
    let optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let values = if optional { format!("[{values}]") } else { values };
    if takes && !values.is_empty() { format!("{names} {values}") } else { names }
}

fn table<'a>(args: impl Iterator<Item = &'a Arg>, text: &mut String) {
    let mut any = false;
    for arg in args.filter(|arg| !arg.is_hide_set() && arg.get_id() != "help" && arg.get_id() != "version") {
        if !any {
            text.push_str("| | |\n|---|---|\n");
        }
        any = true;
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default =
            arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let takes = arg.get_action().takes_values() && !arg.is_hide_default_value_set();
        let default =
            if takes && !default.is_empty() { format!(" [default: {default}]") } else { String::new() };
        let cell = |text: &str| text.replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {}{} |", cell(&shape(arg)), cell(&help), cell(&default));
    }
    if any {
        text.push('\n');
    }
}

fn section(words: &str, command: &Command, text: &mut String) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let positional = command.get_positionals().map(shape).collect::<Vec<_>>().join(" ");
    let _ = writeln!(text, "## {words}\n\n    {}\n", format!("{words} {positional}").trim_end());
    let _ = writeln!(text, "{}\n", about.trim());
    table(command.get_arguments().filter(|arg| !is_everywhere(arg)), text);
    for below in visible(command) {
        section(&format!("{words} {}", below.get_name()), below, text);
    }
}

fn reference() -> String {
    let deployvm = deployvm();
    let mut text = "# Every command and option\n\nMade of the program itself; `deployvm COMMAND --help` and `deployvm man COMMAND` say the same.\n\n".to_owned();
    for command in visible(&deployvm) {
        section(&format!("deployvm {}", command.get_name()), command, &mut text);
    }
    let _ = writeln!(text, "## {EVERYWHERE}\n");
    table(deployvm.get_arguments().filter(|arg| is_everywhere(arg)), &mut text);
    text.trim_end().to_owned() + "\n"
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_reference_is_that_of_this_program() {
    let path = root().join("docs/reference.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let update = "write it anew: UPDATE_REFERENCE=1 cargo test --test reference";
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == reference(), "{update}");
}

/// Documents and templates.
fn documents() -> Vec<PathBuf> {
    let mut all = vec![root().join("README.md")];
    let mut directories = vec![root().join("docs"), root().join("templates")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { all.push(path) }
        }
    }
    all
}

/// What is wrong with the words of a call, which begin after `deployvm`.
fn wrong(words: &[&str], deployvm: &Command) -> Option<String> {
    let mut command = deployvm;
    let mut words = words.iter().peekable();
    while let Some(below) = words.peek().and_then(|word| command.find_subcommand(word)) {
        command = below;
        words.next();
    }
    let global: BTreeSet<String> =
        deployvm.get_arguments().filter_map(|a| a.get_long().map(|l| format!("--{l}"))).collect();
    for word in words {
        let option = word.split('=').next().unwrap_or_default();
        let known = |option: &str| {
            global.contains(option)
                || command.get_arguments().any(|a| a.get_long().is_some_and(|l| format!("--{l}") == option))
        };
        // What follows is another program's.
        if *word == "--" {
            break;
        }
        if option.starts_with("--") && !known(option) {
            return Some(format!("deployvm {} has no {option}", command.get_name()));
        }
    }
    None
}

/// The calls of deployvm in a document: in code only, up to the end of the line or what a
/// shell would take for the end of a command.
fn calls(text: &str) -> Vec<Vec<&str>> {
    let mut calls = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let code: Vec<&str> = match fenced || line.starts_with("    ") {
            true => vec![line],
            false => line.split('`').skip(1).step_by(2).collect(),
        };
        for code in code {
            for rest in code.split("deployvm ").skip(1) {
                let end = rest.find(['|', ';', '#', ')', '&', '>', '<', ':']).unwrap_or(rest.len());
                let words: Vec<&str> = rest[..end].split_whitespace().collect();
                calls.push(words);
            }
        }
    }
    calls
}

#[test]
fn documents_speak_of_nothing_that_is_not_there() {
    let deployvm = deployvm();
    let mut found = Vec::new();
    let mut count = 0;
    for path in documents() {
        // Where it is not text, nobody reads it.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root()).unwrap_or(Path::new("")).display().to_string();
        for words in calls(&text) {
            count += 1;
            found.extend(wrong(&words, &deployvm).map(|why| format!("{name}: {why}")));
        }
    }
    assert!(count > 50, "only {count} calls were found");
    assert_eq!(found, Vec::<String>::new());
    let told: Vec<&str> = "push vm1 --yess".split(' ').collect();
    assert!(wrong(&told, &deployvm).is_some());
}
