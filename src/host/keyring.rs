//! Keys that came with the command, made ready for ssh: a private key in an agent of our
//! own, which takes it from a pipe and ends with us, so that it is never on a disk; host
//! keys, which are no secret, in a private directory. One configuration file there, which
//! includes the user's, makes every ssh that is given it use both.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::OnceCell;

use super::process::{self, Held, Limits, Stopped};
use crate::error::{Aftermath, Failure, Result};
use crate::model::access::{Access, Given};
use crate::model::argv::Argv;

const AGENT: &str = include_str!("agent.sh");

/// ssh-add's exit code when there is no agent.
const NO_AGENT: i32 = 2;
/// How often, and how long apart, an agent that starts is asked.
const ASKED: u32 = 200;
const APART: Duration = Duration::from_millis(25);
const LIMITS: Limits =
    Limits { bytes: 1 << 16, whole: Some(Duration::from_secs(20)), silence: Duration::from_secs(20) };

/// The keys of one command; made ready when they are first needed.
#[derive(Debug, Default)]
pub struct Keyring {
    access: Access,
    ready: OnceCell<Ready>,
}

#[derive(Debug)]
struct Ready {
    config: Utf8PathBuf,
    _agent: Option<Held>,
    _directory: tempfile::TempDir,
}

impl Keyring {
    /// With these keys.
    pub fn new(access: Access) -> Self {
        Self { access, ready: OnceCell::new() }
    }

    /// The configuration file for ssh (`-F`); `None` when no keys were given.
    ///
    /// # Errors
    /// 2 when a key cannot be used, 11 when there is no agent to be had.
    pub async fn config(&self) -> Result<Option<Utf8PathBuf>> {
        if self.access.is_empty() {
            return Ok(None);
        }
        let ready = self.ready.get_or_try_init(|| prepare(&self.access)).await?;
        Ok(Some(ready.config.clone()))
    }
}

async fn prepare(access: &Access) -> Result<Ready> {
    let cannot = |e: std::io::Error| {
        Failure::new(Aftermath::Unreachable, format!("cannot make a private directory in /tmp: {e}"))
    };
    // Short, and without a character that ssh reads: it is part of its configuration.
    let directory = tempfile::Builder::new().prefix("dvm-").tempdir_in("/tmp").map_err(cannot)?;
    let path = Utf8PathBuf::from_path_buf(directory.path().to_path_buf())
        .map_err(|_| Failure::bug("the private directory's path is not UTF-8"))?;
    let socket = path.join("agent");
    let agent = match &access.key {
        Some(key) => Some(agent(key, &socket).await?),
        None => None,
    };
    if let Some(known) = &access.known_hosts {
        std::fs::write(path.join("known_hosts"), known.text()).map_err(cannot)?;
    }
    let config = path.join("config");
    std::fs::write(&config, configuration(access, &path)).map_err(cannot)?;
    Ok(Ready { config, _agent: agent, _directory: directory })
}

/// What stands first counts. Jump hosts are reached with the same file.
fn configuration(access: &Access, directory: &Utf8Path) -> String {
    let mut text = String::from("StrictHostKeyChecking yes\n");
    if access.key.is_some() {
        text += &format!("IdentityAgent {directory}/agent\nIdentitiesOnly no\nForwardAgent no\n");
    }
    if access.known_hosts.is_some() {
        text += &format!("UserKnownHostsFile {directory}/known_hosts\nGlobalKnownHostsFile /dev/null\n");
    }
    text + "Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n"
}

/// Starts an agent and gives it the key.
async fn agent(key: &Given, socket: &Utf8Path) -> Result<Held> {
    let agent = process::hold(&Argv::new("sh").args(["-c", AGENT, "agent", socket.as_str()]))?;
    // A passphrase would have to be typed by somebody; `false` types none.
    let add = Argv::new("ssh-add")
        .args(["-q", "-"])
        .env("SSH_AUTH_SOCK", socket.as_str())
        .env("SSH_ASKPASS", "false")
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(key.text());
    for _ in 0..ASKED {
        let output = match process::answer(&add, LIMITS, |_| true).await {
            Ok(output) => output,
            Err(Stopped::Failed(failure)) => return Err(failure),
            Err(_) => return Err(no_agent()),
        };
        match output.code {
            Some(0) => return Ok(agent),
            Some(NO_AGENT) => tokio::time::sleep(APART).await,
            _ => return Err(unusable(key).output(&output.errors())),
        }
    }
    Err(no_agent())
}

fn no_agent() -> Failure {
    Failure::new(Aftermath::Unreachable, "ssh-agent does not start here")
        .help("see that `ssh-agent true` works")
}

fn unusable(key: &Given) -> Failure {
    Failure::usage(format!("ssh cannot use the private key in {}", key.variable)).help(
        "it must be whole, with its line breaks, and without a passphrase: make one with \
         `ssh-keygen -t ed25519 -N '' -f deploy-key`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::{KEY, KNOWN_HOSTS};

    async fn run(program: &str, args: &[&str]) -> String {
        let output = process::run(&Argv::new(program).args(args.iter().copied())).await.unwrap();
        assert!(output.ok(), "{}", output.errors());
        output.text()
    }

    async fn new_key(passphrase: &str) -> (tempfile::TempDir, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key").to_str().unwrap().to_owned();
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", &file]).await;
        let (secret, public) = (std::fs::read_to_string(&file), std::fs::read_to_string(file + ".pub"));
        (dir, secret.unwrap(), public.unwrap())
    }

    #[tokio::test]
    async fn a_key_is_in_an_agent_and_in_no_file() {
        let (_dir, secret, public) = new_key("").await;
        let known = "hv.example ssh-ed25519 AAAA\n".to_owned();
        let keyring = Keyring::new(Access {
            key: Some(Given::new(KEY, secret)),
            known_hosts: Some(Given::new(KNOWN_HOSTS, known.clone())),
        });
        let config = keyring.config().await.unwrap().unwrap();
        let dir = config.parent().unwrap().to_owned();
        assert_eq!(std::fs::read_to_string(dir.join("known_hosts")).unwrap(), known);
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.contains(&format!("IdentityAgent {dir}/agent")), "{text}");
        let held = Argv::new("ssh-add").arg("-L").env("SSH_AUTH_SOCK", dir.join("agent").as_str());
        assert_eq!(process::run(&held).await.unwrap().text(), public);
        let files = dir.read_dir_utf8().unwrap().map(|f| f.unwrap().file_name().to_owned());
        let mut files: Vec<String> = files.collect();
        files.sort();
        assert_eq!(files, ["agent", "config", "known_hosts"]);
        // What ssh makes of it, whatever the user's own configuration says.
        let made = run("ssh", &["-F", config.as_str(), "-G", "hv.example"]).await;
        for line in [
            format!("identityagent {dir}/agent"),
            format!("userknownhostsfile {dir}/known_hosts"),
            "globalknownhostsfile /dev/null".to_owned(),
            "stricthostkeychecking true".to_owned(),
        ] {
            assert!(made.lines().any(|said| said == line), "{line}\n{made}");
        }
        drop(keyring);
        assert!(!dir.exists());
    }

    #[tokio::test]
    async fn a_key_that_nobody_can_use_is_told_by_its_variable() {
        let (_dir, secret, _) = new_key("a passphrase").await;
        let torn = secret.replacen("b3BlbnNzaC1", "x", 1);
        for text in [secret, torn] {
            let keyring =
                Keyring::new(Access { key: Some(Given::new(KEY, text.clone())), ..Access::default() });
            let failure = keyring.config().await.unwrap_err();
            assert_eq!(failure.message, "ssh cannot use the private key in DEPLOYVM_SSH_KEY");
            assert_eq!(failure.aftermath, Aftermath::Usage);
            let body = text.lines().nth(1).unwrap();
            assert!(!failure.output.iter().any(|line| line.contains(body)), "{:?}", failure.output);
        }
    }

    #[tokio::test]
    async fn the_agent_ends_when_its_input_does() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("agent").to_str().unwrap().to_owned();
        let start = Argv::new("sh").args(["-c", AGENT, "agent", &socket]).stdin(Vec::new());
        assert!(process::run(&start).await.unwrap().ok());
        let ask = Argv::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", socket);
        assert_eq!(process::run(&ask).await.unwrap().code, Some(NO_AGENT));
    }

    #[tokio::test]
    async fn without_keys_nothing_is_made() {
        assert_eq!(Keyring::default().config().await, Ok(None));
    }
}
