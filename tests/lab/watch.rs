//! `status --watch`: in a pipe, as JSON, on a terminal, and over a lost line.

use serde_json::Value;

use crate::harness::{HYPERVISOR, Lab};
use crate::running::{Running, until};

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// Waits until something is true of what was said.
fn says(running: &Running, what: &str, holds: impl Fn(&str) -> bool) {
    until(what, 60, || match running.said() {
        said if holds(&said) => Ok(()),
        said => Err(said),
    });
}

#[test]
fn one_look_after_the_other() {
    let lab = Lab::deployed(&[]);
    let watch = |more: &[&str]| {
        let argv = [&["deployvm", "status", "-H", HYPERVISOR, "--watch"], more].concat();
        Running::start(lab.command(&argv), false)
    };
    let (piped, json) = (watch(&["1"]), watch(&["vm2", "--no-eval", "--json"]));
    let line = format!(
        "stty rows 20 cols 90; exec {} status -H {HYPERVISOR} --watch 1",
        env!("CARGO_BIN_EXE_deployvm")
    );
    let mut terminal = Running::start(lab.command(&["script", "-q", "-e", "-c", &line, "/dev/null"]), true);
    let rows = |said: &str, state: &str| {
        said.lines().filter(|line| line.starts_with("vm2 ") && line.contains(state)).count()
    };
    says(&piped, "two tables", |said| rows(said, "current") >= 2);
    says(&terminal, "a table in place", |said| said.contains(ENTER) && said.contains("until Ctrl-C"));
    lab.laptop(&["deployvm", "stop", "vm2", "-H", HYPERVISOR, "--yes"]).expect(0);
    says(&piped, "what has changed", |said| rows(said, "stopped") >= 1);
    says(&terminal, "what has changed", |said| said.contains("stopped"));
    says(&json, "what has changed", |said| said.contains("\"stopped\""));

    // The flake was asked once, and so was everything else that is said.
    piped.signal("INT");
    let said = piped.wait(60).expect(0);
    let tables: Vec<&str> = said.stdout.split("\n\n").filter(|part| part.starts_with("NAME ")).collect();
    assert!(tables.len() >= 3 && !said.stdout.contains('\u{1b}'), "{said}");
    assert_eq!(said.stderr.matches("evaluating").count(), 1, "{said}");
    json.signal("INT");
    let said = json.wait(60).expect(0);
    for line in said.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["schema"], &line["vms"][0]["name"], &line["vms"][1]),
            (&1.into(), &"vm2".into(), &Value::Null)
        );
    }

    // In place: what was on the terminal is there again after Ctrl-C, and the cursor.
    terminal.types("\u{3}");
    let said = terminal.wait(60).expect(0).stdout;
    assert_eq!((said.matches(ENTER).count(), said.matches(LEAVE).count()), (1, 1), "{said:?}");
    assert!(said.trim_end().ends_with(&format!("\u{1b}[?25h{LEAVE}")), "{said:?}");
}

#[test]
fn looks_go_on_over_a_lost_line() {
    let lab = Lab::deployed(&["--vms", "1"]);
    let argv = ["deployvm", "status", "-H", HYPERVISOR, "--watch", "1", "--no-eval"];
    let watching = Running::start(lab.command(&argv), false);
    let tables = |said: &str| said.matches("NAME ").count();
    says(&watching, "a table", |said| tables(said) >= 1);
    lab.script("link", &["down"]).expect(0);
    says(&watching, "that it was lost", |said| said.contains("the connection was lost"));
    let before = tables(&watching.stdout());
    lab.script("link", &["up"]).expect(0);
    says(&watching, "tables again", |said| tables(said) >= before + 2);
    watching.signal("INT");
    watching.wait(60).expect(0);
}
