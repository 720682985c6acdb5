//! Programs that tests start: with a deadline, and without pipes that a background
//! process could hold open.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How a program ended.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; 128 and the number for a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Output {
    /// Panics with everything that was said unless the code is this.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "the exit code\n{self}");
        self
    }

    /// All that was said.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Panics unless this text was said, line breaks and indentation aside.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        let words = |text: &str| {
            let drawn = |c: char| c.is_whitespace() || matches!(c, '│' | '╰' | '╭' | '─' | '×' | '▶');
            text.split(drawn).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
        };
        assert!(words(&self.said()).contains(&words(text)), "it does not say {text:?}\n{self}");
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "exit {code}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}

/// A program at work.
pub struct Running {
    child: Child,
    directory: tempfile::TempDir,
}

impl Running {
    /// Starts it; `stdin` is a pipe for [`Running::types`], or nothing at all.
    pub fn start(mut command: Command, stdin: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(directory.path().join(name)).unwrap();
        command.stdin(if stdin { Stdio::piped() } else { Stdio::null() });
        command.stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        Self { child, directory }
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// All that it has said so far.
    pub fn said(&self) -> String {
        self.read("stdout") + &self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        let path: PathBuf = self.directory.path().join(name);
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    }

    /// Types into its stdin.
    pub fn types(&mut self, text: &str) {
        use std::io::Write as _;
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }

    /// Sends it a signal, such as `KILL`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success(), "cannot send {name} to {pid}");
    }

    /// Whether it has not ended yet.
    pub fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, for at most `seconds`.
    #[track_caller]
    pub fn wait(mut self, seconds: u64) -> Output {
        use std::os::unix::process::ExitStatusExt as _;
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                // It may have ended just now; the panic says what matters.
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("not done in {seconds} s\n{}\n{}", self.read("stdout"), self.read("stderr"));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Output { code, stdout: self.read("stdout"), stderr: self.read("stderr") }
    }
}

/// Asks again and again until there is an answer, for at most `seconds`.
#[track_caller]
pub fn until<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(instead) if Instant::now() > deadline => panic!("{what}: not in {seconds} s: {instead}"),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
