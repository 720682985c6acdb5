//! The vocabulary of Nix, for versions 2.8 to 2.34 alike: how it is asked, and how
//! its answers and complaints are read. One file per noun; nothing here starts a
//! program. Where the versions differ, the text forms that agree are used.

pub mod build;
pub mod closure;
pub mod copy;
pub mod data;
pub mod derivation;
pub mod errors;
pub mod eval;
pub mod host;
pub mod internal_json;
pub mod metadata;
pub mod sign;
pub mod version;

use crate::error::without_secrets;
use crate::model::argv::Argv;

/// What the user hands through to Nix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassThrough {
    /// `--override-input INPUT REF`.
    pub overrides: Vec<(String, String)>,
    /// `--option NAME VALUE`.
    pub options: Vec<(String, String)>,
    /// `--sign-key FILE`.
    pub sign_key: Option<sign::SigningKey>,
}

/// `nix SUBCOMMAND …` with what every call needs.
pub fn nix<'a>(subcommand: impl IntoIterator<Item = &'a str>) -> Argv {
    Argv::new("nix")
        // Off by default in every version, and needed by each command used here.
        // A flag rather than NIX_CONFIG, which may be the user's own.
        .args(["--extra-experimental-features", "nix-command flakes"])
        .args(subcommand)
        // Nix starts git. In a process group of its own a question on the terminal
        // would stop it for ever: better to fail and say why.
        .env("GIT_TERMINAL_PROMPT", "0")
}

/// A command that reads a flake.
fn on_flake<'a>(
    subcommand: impl IntoIterator<Item = &'a str>,
    flake: String,
    pass: &PassThrough,
    rest: &[&str],
) -> Argv {
    let argv = nix(subcommand)
        // Looking must not change the user's tree; Nix would write missing entries
        // and even `git add` the file.
        .arg("--no-write-lock-file")
        // Said once by the plan rather than once by every process.
        .arg("--no-warn-dirty");
    // Ours after the user's options, so that they hold.
    options(overrides(argv, pass), pass).args(rest.iter().copied()).arg(flake)
}

/// A command about a flake for a user, who has flakes enabled, to type. What others may
/// not read is not in it.
fn typed<'a>(subcommand: impl IntoIterator<Item = &'a str>, pass: &PassThrough) -> Argv {
    options(overrides(Argv::new("nix").args(subcommand), pass), pass)
}

fn overrides(argv: Argv, pass: &PassThrough) -> Argv {
    let words = pass.overrides.iter();
    argv.args(words.flat_map(|(input, reference)| ["--override-input", input, reference]))
}

/// Adds the user's `--option NAME VALUE`. One that holds a secret goes by the environment,
/// which others cannot read, unlike arguments; it stays on this machine.
fn options(mut argv: Argv, pass: &PassThrough) -> Argv {
    for (name, value) in &pass.options {
        argv = if is_secret(name, value) {
            // One line, whatever it is: a second would be another setting.
            let words: Vec<&str> = value.split_ascii_whitespace().collect();
            argv.line("NIX_CONFIG", format!("{name} = {}", words.join(" ")))
        } else {
            argv.args(["--option", name, value])
        };
    }
    argv
}

/// Tokens, and URLs with a password. The name is one that a line of nix.conf can begin
/// with; anything else is no setting.
fn is_secret(name: &str, value: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    plain && (name.ends_with("access-tokens") || without_secrets(value) != value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_no_arguments() {
        let pass = PassThrough {
            options: [
                ("access-tokens", "github.com=tok1\nsandbox = false"),
                ("extra-substituters", "https://me:tok2@cache"),
                ("cores", "2"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            ..PassThrough::default()
        };
        let argv = on_flake(["flake", "metadata"], ".".to_owned(), &pass, &[]);
        assert!(!format!("{:?}", argv.args).contains("tok"), "{argv:?}");
        assert!(argv.args.windows(3).any(|w| w == ["--option", "cores", "2"]), "{argv:?}");
        let lines: Vec<&str> = argv.lines.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(
            lines,
            ["access-tokens = github.com=tok1 sandbox = false", "extra-substituters = https://me:tok2@cache"]
        );
    }
}
