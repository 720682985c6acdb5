//! Hands our terminal, or whatever our three streams are, to another program: it reads what
//! is typed, and Ctrl-C reaches it as it reaches us.

use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::watch;

use super::process;
use crate::error::Result;
use crate::model::access;
use crate::model::argv::Argv;

/// How long a program may take that was told to end by Ctrl-C itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether somebody types, and sees what is said.
pub fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Runs a program to its end and returns its exit code; 128 and the number for a signal.
/// When `stop` becomes true it is asked to end, if it does not by itself.
///
/// # Errors
/// Exit 11 when it cannot be started.
#[expect(clippy::disallowed_methods, reason = "this is the door to other programs")]
pub async fn hand_over(argv: &Argv, mut stop: watch::Receiver<bool>) -> Result<u8> {
    let failed = |error: &std::io::Error| process::cannot_start(argv, error);
    let mut command = Command::new(&argv.program);
    // In our process group, or it could not read from the terminal.
    command.args(&argv.args).env_remove(access::KEY).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let status = tokio::select! {
        status = child.wait() => status,
        Ok(_) = stop.wait_for(|yes| *yes) => match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                // TERM, so that it can put the terminal in order.
                if let Some(pid) = child.id() {
                    process::run(&Argv::new("kill").args(["-s", "TERM", &pid.to_string()])).await?;
                }
                child.wait().await
            }
        },
    };
    status.map(code).map_err(|error| failed(&error))
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_code_is_ours() {
        let (stop, stopped) = watch::channel(false);
        let sh = |text: &str| Argv::new("sh").args(["-c", text]);
        assert_eq!(hand_over(&sh("exit 7"), stopped.clone()).await, Ok(7));
        assert_eq!(hand_over(&sh("kill -s KILL $$"), stopped.clone()).await, Ok(137));
        assert_eq!(
            hand_over(&Argv::new("/nowhere"), stopped.clone()).await.unwrap_err().aftermath.code(),
            11
        );
        stop.send_replace(true);
        assert_eq!(hand_over(&sh("exec sleep 60"), stopped).await, Ok(143));
    }
}
