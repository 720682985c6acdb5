//! Starts a program that goes on when we end: of a session of its own, so that neither
//! Ctrl-C nor the end of the terminal reaches it, and it can ask nobody anything.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use camino::Utf8Path;

use crate::model::argv::Argv;

/// Starts it; what it says goes to the end of a file. It keeps this process's directory
/// and variables, and nothing of what this process has open.
///
/// # Errors
/// When it cannot be started, or the file cannot be written.
#[expect(clippy::disallowed_methods, reason = "this is the door to other programs")]
pub fn start(argv: &Argv, log: &Utf8Path) -> io::Result<()> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(log)?;
    // Of util-linux; where there is none, such as on macOS, a process group must do.
    let mut command = match which::which("setsid") {
        Ok(setsid) => {
            let mut command = Command::new(setsid);
            command.arg(&argv.program);
            command
        }
        Err(_) => {
            let mut command = Command::new(&argv.program);
            command.process_group(0);
            command
        }
    };
    command.args(&argv.args).stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
    let mut child = command.spawn()?;
    if let (Some(mut stdin), Some(bytes)) = (child.stdin.take(), &argv.stdin) {
        stdin.write_all(bytes)?;
    }
    Ok(())
}
