//! What `deployvm completions` prints, in the shells that it is for: each one reads it and
//! is asked what it offers.
//!
//! bash is always there. zsh, fish and nu (which Debian does not have) are asked where they
//! are installed, and must be with `REQUIRE_SHELLS=zsh,fish` or such.

#![expect(clippy::disallowed_methods, reason = "tests start shells")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    // A complaint that does not end the shell is a fault as well.
    assert!(output.status.success() && stderr.is_empty(), "{command:?}\n{stdout}\n{stderr}");
    stdout
}

fn deployvm(args: &[&str]) -> String {
    output(Command::new(env!("CARGO_BIN_EXE_deployvm")).args(args))
}

fn part(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/completions").join(name)
}

/// A shell that has read its completions.
struct Shell {
    name: &'static str,
    home: tempfile::TempDir,
}

impl Shell {
    /// `None` where it is not installed.
    fn of(name: &'static str, argument: &str, file: &str) -> Option<Self> {
        let required = std::env::var("REQUIRE_SHELLS").unwrap_or_default();
        if which::which(name).is_err() {
            assert!(!required.split(',').any(|required| required == name), "{name} is not installed");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(file), deployvm(&["completions", argument])).unwrap();
        Some(Self { name, home })
    }

    /// The shell without the configuration of whoever tests.
    fn command(&self, args: &[&str]) -> Command {
        let home = self.home.path();
        let mut command = Command::new(self.name);
        command.args(args).current_dir(home).env("HOME", home).env("TERM", "dumb");
        for directory in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
            command.env(directory, home);
        }
        command
    }

    /// What it offers for the last word of a line.
    fn offers(&self, line: &str) -> Vec<String> {
        let mut command = match self.name {
            "bash" => {
                let mut command = self.command(&["--norc", "--noprofile"]);
                command.arg(part("bash-offers.sh")).arg("deployvm.bash").args(line.split(' '));
                command
            }
            "zsh" => {
                let mut command = self.command(&["-f"]);
                command.arg(part("zsh-offers.zsh")).arg(self.home.path()).arg(line);
                command
            }
            "fish" => {
                let script = "source deployvm.fish; complete --do-complete $argv[1]";
                self.command(&["--no-config", "--command", script, line])
            }
            _ => {
                let text = format!("use deployvm.nu *\n{line}");
                std::fs::write(self.home.path().join("typed.nu"), &text).unwrap();
                self.command(&["--no-config-file", "--ide-complete", &text.len().to_string(), "typed.nu"])
            }
        };
        let said = output(&mut command);
        let mut offered = match self.name {
            "nu" => {
                let said: serde_json::Value = serde_json::from_str(&said).unwrap();
                // Commands come with all of their words, those of commands below them, too.
                let before = line.rsplit_once(' ').map_or(0, |(before, _)| before.len() + 1);
                let word = |offered: &serde_json::Value| {
                    let offered = offered.as_str()?;
                    Some(offered.strip_prefix(&line[..before]).unwrap_or(offered).to_owned())
                };
                let words = said["completions"].as_array().unwrap().iter().filter_map(word);
                words.filter(|word| !word.contains(' ')).collect()
            }
            // fish puts a tab and a description after a word.
            _ => said.lines().filter_map(|l| l.split('\t').next()).map(str::to_owned).collect::<Vec<_>>(),
        };
        offered.sort();
        offered
    }

    fn completes(&self) {
        let all = deployvm(&["man", "--list"]);
        let mut commands: Vec<&str> = all.lines().filter(|line| !line.contains(' ')).collect();
        commands.sort_unstable();
        let offered = self.offers("deployvm ");
        let words: Vec<&String> = offered.iter().filter(|word| !word.starts_with('-')).collect();
        assert_eq!(words, commands, "{}", self.name);

        for (line, wanted) in [
            ("deployvm pu", &["push"][..]),
            ("deployvm push --no-re", &["--no-restart"]),
            ("deployvm rollback --hyp", &["--hypervisor"]),
            ("deployvm push --build-on ", &["auto", "hypervisor", "laptop"]),
            ("deployvm hook un", &["uninstall"]),
        ] {
            assert_eq!(self.offers(line), wanted, "{} completes {line:?}", self.name);
        }
        // Not what only deployvm itself calls.
        let hook = self.offers("deployvm hook ");
        let words: Vec<&String> = hook.iter().filter(|word| !word.starts_with('-')).collect();
        assert_eq!(words, ["install", "run", "uninstall"], "{}", self.name);
    }
}

#[test]
fn bash() {
    let shell = Shell::of("bash", "bash", "deployvm.bash").unwrap();
    output(&mut shell.command(&["-n", "deployvm.bash"]));
    shell.completes();
}

#[test]
fn zsh() {
    let Some(shell) = Shell::of("zsh", "zsh", "_deployvm") else { return };
    output(&mut shell.command(&["-f", "-n", "_deployvm"]));
    shell.completes();
}

#[test]
fn fish() {
    let Some(shell) = Shell::of("fish", "fish", "deployvm.fish") else { return };
    output(&mut shell.command(&["--no-config", "--no-execute", "deployvm.fish"]));
    shell.completes();
}

#[test]
fn nushell() {
    // What can be said without it: there is a declaration of every command.
    let text = deployvm(&["completions", "nushell"]);
    for command in deployvm(&["man", "--list"]).lines() {
        assert!(text.contains(&format!("export extern \"deployvm {command}\" [\n")), "{command}\n{text}");
    }
    let Some(shell) = Shell::of("nu", "nushell", "deployvm.nu") else { return };
    shell.completes();
}

/// No Debian has these: that they are made, and of everything.
#[test]
fn elvish_and_powershell() {
    for (shell, begins) in [("elvish", "use builtin;"), ("powershell", "using namespace")] {
        let text = deployvm(&["completions", shell]);
        assert!(text.trim_start().starts_with(begins), "{text}");
        for command in deployvm(&["man", "--list"]).lines() {
            assert!(text.contains(&format!("deployvm;{}", command.replace(' ', ";"))), "{command}\n{text}");
        }
    }
}
