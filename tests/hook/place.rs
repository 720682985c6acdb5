//! A home, a repository with a flake, and a remote, all temporary.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// How a program ended.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Panics unless this was said on stderr, line breaks aside.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        let words = |text: &str| {
            let drawn = |c: char| c.is_whitespace() || matches!(c, '│' | '╰' | '─' | '×' | '▶');
            text.split(drawn).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
        };
        assert!(words(&self.stderr).contains(&words(text)), "it does not say {text:?}: {self:#?}");
        self
    }
}

/// What is in a directory: modes and texts by name, without git's samples.
pub type Files = BTreeMap<String, (u32, String)>;

/// Held while a file is written and while a program is started: a child that begins in
/// the middle holds the file open for a moment, and a script that is open is "busy".
static WRITING_OR_STARTING: Mutex<()> = Mutex::new(());

pub struct Place {
    temp: tempfile::TempDir,
}

impl Place {
    /// With one commit of a flake that has no microVMs.
    pub fn new() -> Self {
        let place = Self { temp: tempfile::tempdir().unwrap() };
        for dir in ["home", "record"] {
            std::fs::create_dir(place.path(dir)).unwrap();
        }
        let config = "[user]\nname = a\nemail = a@example.org\n[init]\ndefaultBranch = main\n\
                      [protocol \"file\"]\nallow = always\n[advice]\nignoredHook = false\n";
        std::fs::write(place.path("home/.gitconfig"), config).unwrap();
        place.git(".", &["init", "-q", "--bare", "remote.git"]).expect(0);
        place.git(".", &["init", "-q", "repo"]).expect(0);
        place.write("repo/flake.nix", "{ outputs = _: { nixosConfigurations = { }; }; }\n");
        place.git("repo", &["add", "."]).expect(0);
        place.git("repo", &["commit", "-qm", "The flake"]).expect(0);
        place.git("repo", &["remote", "add", "origin", &place.text("remote.git")]).expect(0);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().canonicalize().unwrap().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        let _held = WRITING_OR_STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A hook that writes down that it ran, with its arguments and what it was told.
    pub fn hook(&self, name: &str, recorded: &str, code: i32) {
        let record = self.text(&format!("record/{recorded}"));
        let text = format!("#!/bin/sh\n{{ echo \"$@\"; cat; }} >>'{record}'\nexit {code}\n");
        self.write(name, &text);
        self.mode(name, 0o755);
    }

    /// What such a hook has written; nothing when it did not run.
    pub fn recorded(&self, name: &str) -> Option<String> {
        let path = self.path(&format!("record/{name}"));
        let text = std::fs::read_to_string(&path).ok()?;
        std::fs::remove_file(path).unwrap();
        Some(text)
    }

    /// Has the installed hook start a recorder instead of the real deployvm.
    pub fn pretend(&self, git_dir: &str) {
        self.hook("stand-in", "deployvm", 0);
        self.write(&format!("{git_dir}/deployvm/program"), &self.text("stand-in"));
    }

    pub fn run(&self, dir: &str, mut command: Command) -> Output {
        command.current_dir(self.path(dir)).stdin(Stdio::null());
        command.env_clear().env("HOME", self.path("home")).env("PATH", std::env::var_os("PATH").unwrap());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("NO_COLOR", "1");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let held = WRITING_OR_STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn().unwrap();
        drop(held);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    pub fn git(&self, dir: &str, args: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.args(args);
        self.run(dir, command)
    }

    pub fn deployvm(&self, dir: &str, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployvm"));
        command.args(args);
        self.run(dir, command)
    }

    pub fn install(&self, dir: &str) -> Output {
        self.deployvm(dir, &["-H", "root@127.0.0.1:1", "hook", "install"])
    }

    pub fn uninstall(&self, dir: &str) -> Output {
        self.deployvm(dir, &["hook", "uninstall"])
    }

    /// Everything below a directory of hooks.
    pub fn files(&self, dir: &str) -> Files {
        let mut files = Files::new();
        collect(&self.path(dir), "", &mut files);
        files
    }

    /// The line that git says of a branch that is new on the remote.
    pub fn line(&self, dir: &str, branch: &str, there: &str) -> String {
        let commit = self.git(dir, &["rev-parse", branch]).expect(0).stdout;
        let none = "0".repeat(40);
        format!("refs/heads/{branch} {} refs/heads/{there} {none}\n", commit.trim())
    }
}

fn collect(dir: &Path, prefix: &str, files: &mut Files) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else if !name.ends_with(".sample") {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            let text = match kind.is_symlink() {
                true => std::fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned(),
                false => std::fs::read_to_string(entry.path()).unwrap(),
            };
            files.insert(name, (mode, text));
        }
    }
}
