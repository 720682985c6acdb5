//! What is sent to [`COMMAND`], and what arrives there through real shells.
// The shell is started as a login starts it, which host::process cannot do.
#![allow(clippy::disallowed_methods)]

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use proptest::prelude::*;

/// Says every value that it was given.
const ECHO: Script =
    Script { name: "echo", parts: &[PRELUDE, "for value; do field \"$value\"; done", "finish 0"] };

#[test]
fn empty_values_stay_where_they_are() {
    let args = ["", "a b", ""].map(str::to_owned);
    let argv = here(&UNPEND.input(&args).unwrap());
    assert_eq!((argv.program.as_str(), argv.args[0].as_str()), ("sh", "-c"));
    assert!(argv.args[1].starts_with("# prelude.sh"));
    assert_eq!(argv.args[2..], ["unpend", "4", "", "a b", "", INPUT_END]);
}

#[test]
fn refuses_what_xargs_would_split() {
    assert!(OBSERVE.input(&vec!["x".to_owned(); MOST_ARGS + 1]).is_err());
    assert!(OBSERVE.input(&["x".repeat(MOST_BYTES)]).is_err());
    assert!(OBSERVE.input(&["a\0b".to_owned()]).is_err());
}

/// Those of these shells that are on this machine, each as a program with its arguments.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [vec!["sh"], vec!["dash"], vec!["bash"], vec!["zsh"], vec!["fish"], vec!["busybox", "sh"]];
    all.into_iter().filter(|words| which::which(words[0]).is_ok()).collect()
}

/// What the script says when `login` is the login shell and `sh` is sh.
fn through(login: &[&str], sh: &[&str], input: &[u8]) -> Option<Reply> {
    // fish writes its own files into its home.
    let (dir, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(which::which(sh[0]).unwrap(), dir.path().join("sh")).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let login = [login, &["-c", COMMAND]].concat();
    // Nothing of the user's own rc files, and a directory where a glob would find something.
    std::fs::write(dir.path().join("a b"), "").unwrap();
    let mut child = Command::new(login[0])
        .args(&login[1..])
        .env("PATH", path)
        .env("HOME", home.path())
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "something was written");
    Reply::parse(&output.stdout)
}

/// Values that shells, xargs and printf like to read otherwise.
fn value() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(vec![
        "",
        " ",
        "\n",
        "-n",
        "--",
        "-e",
        "$(touch x)",
        "`touch x`",
        "; touch x",
        "* ?",
        "~",
        "%s%n",
        "\\c",
        "\\",
        "'",
        "\"",
        "a\nb\n\n",
        "\u{1b}[2J",
        "\r",
        "é",
        "\u{202e}",
        "deployvm-input-end",
        "deployvm-end",
        "$PATH",
        "!!",
        "&",
        "|",
        ">x",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "[^\0]{0,40}", "-{0,2}[ -~]{0,300}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_value_arrives_as_it_is(values in proptest::collection::vec(value(), 0..12)) {
        let input = ECHO.input(&values).unwrap();
        let shells = shells();
        for shell in &shells {
            // As login shell, and as sh itself.
            for (login, sh) in [(shell.as_slice(), &["sh"][..]), (&["sh"][..], shell.as_slice())] {
                if ["zsh", "fish"].contains(&sh[0]) {
                    continue;
                }
                let reply = through(login, sh, &input).unwrap();
                prop_assert_eq!((reply.code, &reply.fields), (0, &values), "{:?} {:?}", login, sh);
            }
        }
    }

    #[test]
    fn what_was_cut_on_the_way_does_nothing(values in proptest::collection::vec(value(), 0..6), part in 0.0..1.0_f64) {
        let input = ECHO.input(&values).unwrap();
        let start = input.iter().position(|b| *b == 0).unwrap();
        let cut = start + ((input.len() - start) as f64 * part) as usize;
        if let Some(reply) = through(&["sh"], &["sh"], &input[..cut]) {
            // The mark itself was the last value, and only its own NUL is missing.
            let whole = cut + 1 == input.len();
            prop_assert_eq!((reply.code, reply.fields.len()), if whole { (0, values.len()) } else { (65, 0) });
        }
    }
}
