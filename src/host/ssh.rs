//! The user's own OpenSSH: one multiplexed master per hypervisor (the `openssh`
//! crate starts and watches it), and fresh connections that do not use it.

use std::num::NonZeroUsize;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder};

use super::destination::Destination;
use super::process::{self, Held};
use crate::error::{Aftermath, Failure, Result};
use crate::model::address::Address;
use crate::model::argv::{Argv, Output};

/// An open connection to a hypervisor.
#[derive(Debug)]
pub struct Ssh {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    session: Session,
    socket: Utf8PathBuf,
    /// What every connection of its own is given (`-F`), if keys came with the command.
    config: Option<Utf8PathBuf>,
    /// A session that does nothing: as long as we live, the master is not idle, however
    /// long evaluation and building take. It ends when we do, whatever happens to us.
    _lease: Held,
    /// Private and short: socket paths have at most 108 bytes.
    _directory: tempfile::TempDir,
}

/// Seconds to wait for a connection.
const CONNECT_SECONDS: u64 = 15;
/// Longest time for the login as well: somebody may have to touch a key for it.
const LOGIN: Duration = Duration::from_secs(120);

impl Ssh {
    /// Opens the master connection. Host keys are checked strictly; the user's
    /// configuration, agent, jump hosts and known hosts apply, after those of `config`.
    ///
    /// # Errors
    /// Exit 11, with what to do, when the host cannot be reached or does not let us in.
    pub async fn connect(
        user: Option<String>,
        host: String,
        port: Option<u16>,
        config: Option<Utf8PathBuf>,
    ) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("dvm-").tempdir_in("/tmp").map_err(|e| {
            Failure::new(Aftermath::Unreachable, format!("cannot make a private directory in /tmp: {e}"))
        })?;
        let mut builder = SessionBuilder::default();
        builder
            // The default would add unknown keys without asking.
            .known_hosts_check(KnownHosts::Strict)
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            // Three of these without an answer and the link counts as dead.
            .server_alive_interval(Duration::from_secs(5))
            // The master does not outlive us for long, whatever happens to us.
            .control_persist(ControlPersist::IdleFor(NonZeroUsize::MIN.saturating_add(1)))
            .control_directory(directory.path());
        if let Some(config) = &config {
            builder.config_file(config);
        }
        if let Some(user) = &user {
            builder.user(user.clone());
        }
        if let Some(port) = port {
            builder.port(port);
        }
        let session = tokio::time::timeout(LOGIN, builder.connect(&host)).await;
        let at = Destination { user: user.as_deref(), host: &host, port };
        let session = session.map_err(|_| at.never_let_in())?;
        let session = session.map_err(|e| at.explain(&said(&e), config.is_some()))?;
        let socket = Utf8PathBuf::from_path_buf(session.control_socket().to_path_buf())
            .map_err(|_| Failure::bug("the control socket's path is not UTF-8"))?;
        let lease = process::hold(&over(&socket, "cat"))?;
        Ok(Self { user, host, port, session, socket, config, _lease: lease, _directory: directory })
    }

    /// A remote command over the master connection. Port 9 keeps ssh from opening a
    /// connection of its own when the master has gone.
    pub fn command(&self, command: &str) -> Argv {
        over(&self.socket, command)
    }

    /// The same with our terminal.
    pub fn attended(&self, command: &str) -> Argv {
        let socket = self.socket.as_str();
        // Quiet, or it would tell of every session that ends.
        let options = ["-S", socket, "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-tt", "-p", "9"];
        Argv::new("ssh").args(options).args(["--", "none", command])
    }

    /// A remote command over a connection of its own: whether this one can be made is
    /// what the verdict asks, so the user's multiplexing must not fake it. The host key is
    /// that of the address which is dialled.
    pub fn fresh_command(&self, to: Option<&Address>, command: &str) -> Argv {
        let Destination { user, host, port } = self.destination(to);
        let mut argv = Argv::new("ssh").args([
            "-o",
            "ControlMaster=no",
            "-o",
            "ControlPath=none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "ConnectTimeout=15",
            "-o",
            "ServerAliveInterval=5",
            "-T",
        ]);
        if let Some(config) = &self.config {
            argv = argv.args(["-F", config.as_str()]);
        }
        if let Some(user) = user {
            argv = argv.args(["-l", user]);
        }
        if let Some(port) = port {
            argv = argv.args(["-p".to_owned(), port.to_string()]);
        }
        argv.args(["--", host]).arg(command)
    }

    fn destination<'a>(&'a self, to: Option<&'a Address>) -> Destination<'a> {
        let (user, host, port) = match to {
            Some(Address::Ssh { user, host, port }) => (user, host, *port),
            _ => (&self.user, &self.host, self.port),
        };
        Destination { user: user.as_deref(), host, port }
    }

    /// Why there was no fresh connection, by what ssh said.
    pub fn trouble(&self, to: Option<&Address>, said: &str) -> Failure {
        self.destination(to).explain(said, self.config.is_some())
    }

    /// Asks the master whether it still has a connection.
    pub fn check(&self) -> Argv {
        Argv::new("ssh").args(["-S", self.socket.as_str(), "-O", "check", "none"])
    }

    /// A `ProxyCommand` that goes through the open master; ssh fills in `%h` and `%p`.
    /// The socket's path was made by us and has no character that a shell reads.
    pub fn proxy_command(&self) -> String {
        format!("ssh -S {} -o BatchMode=yes -p 9 -W [%h]:%p none", self.socket)
    }

    /// A `ProxyCommand` that is a program there. It must be of plain words.
    pub fn proxied(&self, command: &str) -> String {
        format!("ssh -S {} -o BatchMode=yes -T -p 9 -- none {command}", self.socket)
    }

    /// What `nix copy` needs to use this connection: the store's URL and NIX_SSHOPTS.
    /// Where the master is gone, ssh connects by itself, and must do so as strictly as the
    /// master did. The port is an option: in the URL only Nix 2.34 understands it.
    pub fn store(&self) -> (String, String) {
        let user = self.user.as_ref().map(|u| format!("{u}@")).unwrap_or_default();
        // Brackets, or an IPv6 address reads as host and port.
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        (format!("ssh-ng://{user}{host}"), store_options(&self.socket, self.port, self.config.as_deref()))
    }

    /// What a user types to run this command there.
    pub fn by_hand(&self, command: &str) -> String {
        format!("ssh {} {command}", self.destination(None))
    }

    /// Ends the master connection.
    pub async fn close(self) {
        // It may have died already; then there is nothing to close.
        let _ = self.session.close().await;
    }
}

/// Whether a command was not begun because there are as many sessions over the master as
/// the hypervisor's sshd allows.
pub fn is_crowded(output: &Output) -> bool {
    output.code == Some(255)
        && output.stdout.is_empty()
        && output.errors().contains("Session open refused by peer")
}

fn over(socket: &Utf8Path, command: &str) -> Argv {
    Argv::new("ssh")
        .args(["-S", socket.as_str(), "-o", "BatchMode=yes", "-T", "-p", "9", "--", "none"])
        .arg(command)
}

/// Words for an ssh that Nix starts; none has a space in it.
fn store_options(socket: &Utf8Path, port: Option<u16>, config: Option<&Utf8Path>) -> String {
    let mut words = vec![
        format!("-o ControlPath={socket} -o ControlMaster=no -o BatchMode=yes"),
        "-o StrictHostKeyChecking=yes -o ServerAliveInterval=5".to_owned(),
    ];
    words.extend(port.map(|port| format!("-p {port}")));
    words.extend(config.map(|config| format!("-F {config}")));
    words.join(" ")
}

fn said(error: &openssh::Error) -> String {
    match error {
        openssh::Error::Connect(e) | openssh::Error::Master(e) => e.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_too_many_is_told_from_a_lost_line() {
        let output =
            |stderr: &str| Output { code: Some(255), stdout: Vec::new(), stderr: stderr.as_bytes().to_vec() };
        let refused = "mux_client_request_session: session request failed: Session open refused by peer\r\n\
             ssh: Could not resolve hostname none: Name or service not known\r\n";
        assert!(is_crowded(&output(refused)));
        assert!(!is_crowded(&output("ssh: Could not resolve hostname none: Name or service not known\r\n")));
        assert!(!is_crowded(&Output { stdout: b"beat\n".to_vec(), ..output(refused) }));
    }

    #[test]
    fn a_copy_that_has_lost_the_master_connects_as_strictly() {
        assert_eq!(
            store_options("/tmp/dvm-x/s".into(), Some(2222), Some("/tmp/dvm-x/config".into())),
            "-o ControlPath=/tmp/dvm-x/s -o ControlMaster=no -o BatchMode=yes \
             -o StrictHostKeyChecking=yes -o ServerAliveInterval=5 -p 2222 -F /tmp/dvm-x/config"
        );
    }
}
