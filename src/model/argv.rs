//! A program with its arguments, as data. Rooms that know a program's vocabulary
//! build one of these; only `host` starts it.

use camino::Utf8PathBuf;

/// What to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Argv {
    /// The program, looked up on PATH.
    pub program: String,
    /// Its arguments, each one word whatever it contains.
    pub args: Vec<String>,
    /// Variables to set; `None` removes one.
    pub env: Vec<(String, Option<String>)>,
    /// Lines to add to variables: what they hold already stays.
    pub lines: Vec<(String, String)>,
    /// Directory to start in.
    pub dir: Option<Utf8PathBuf>,
    /// What it reads; nothing (an empty stdin) when `None`.
    pub stdin: Option<Vec<u8>>,
}

impl Argv {
    /// A program without arguments.
    pub fn new(program: impl Into<String>) -> Self {
        Self { program: program.into(), ..Self::default() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), Some(value.into())));
        self
    }

    /// Adds a line to a variable.
    #[must_use]
    pub fn line(mut self, name: &str, line: impl Into<String>) -> Self {
        self.lines.push((name.to_owned(), line.into()));
        self
    }

    /// Gives it something to read.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }
}

impl std::fmt::Display for Argv {
    /// As one types it in a POSIX shell: program and arguments, nothing else of it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&word(&self.program))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", word(arg)))
    }
}

/// One word of a POSIX shell's command line, whatever is in it.
pub fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a program left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, bounded likewise.
    pub stdout: Vec<u8>,
    /// Standard error, bounded by `host::process`: of too much, the end is kept.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it exited with 0.
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output, lossily decoded.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error, lossily decoded.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_it_means_the_same() {
        let argv = Argv::new("nix").args(["eval", ".#a.\"b\"", "it's", "", "/x/y-z"]).env("A", "b");
        assert_eq!(argv.to_string(), r#"nix eval '.#a."b"' 'it'\''s' '' /x/y-z"#);
    }
}
