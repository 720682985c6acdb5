//! The way into a guest: the user's own ssh with the user's own key, straight, through
//! the hypervisor's open connection, or over vsock from there. Whether it is the right
//! guest is known by its host key, which is looked up under the guest's address.

use super::script::{self, COMMAND, Reply, Script};
use super::ssh::Ssh;
use super::{Host, process};
use crate::error::{Failure, Result};
use crate::model::argv::{Argv, Output};
use crate::model::plan::Move;
use crate::model::settings::Via;

/// The ways to where probes run, besides this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// Into the guest: `ssh` and its arguments, with the destination, where the remote
    /// command begins; empty when there is none.
    pub ssh: Vec<String>,
    /// To the hypervisor: what starts [`COMMAND`] there.
    pub hypervisor: Argv,
}

/// Where ssh finds a guest, and by what.
struct Door {
    destination: String,
    proxy: Option<String>,
    port: u16,
    user: String,
}

fn door(host: &Host, movement: &Move) -> Option<Door> {
    let guest = &movement.guest;
    let port = guest.port.unwrap_or(22);
    let vsock = movement.vsock.as_ref().and_then(|v| Some((v.cid, v.socat.as_deref()?)));
    let (destination, proxy) = match (guest.via.unwrap_or_default(), &movement.address, vsock) {
        (Via::Vsock, address, Some((cid, socat))) => {
            // The name in known_hosts; nobody resolves it.
            let name = address.clone().unwrap_or_else(|| format!("vsock/{cid}"));
            (name, Some(vsock_command(host, socat, cid, port)))
        }
        (Via::Hypervisor, Some(address), _) => (address.clone(), host.ssh().map(Ssh::proxy_command)),
        (Via::Laptop, Some(address), _) => (address.clone(), None),
        _ => return None,
    };
    let user = guest.user.as_deref().unwrap_or("root").to_owned();
    Some(Door { destination, proxy, port, user })
}

/// The way into a VM's guest, for what is asked there without anybody at hand.
pub fn way(host: &Host, movement: &Move) -> Way {
    let options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ConnectTimeout=10",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=2",
        // What the user wants of an interactive session is of no use here.
        "ClearAllForwardings=yes",
        "RemoteCommand=none",
    ];
    let ssh = door(host, movement).map(|door| door.words(host, &options, "-T")).unwrap_or_default();
    Way { ssh, hypervisor: host.command() }
}

/// The user's own session in a guest by the same way: their ssh may ask what it likes. The
/// command is handed to ssh as it is. `None` when there is no way.
pub fn session(host: &Host, movement: &Move, terminal: bool, command: &[String]) -> Option<Argv> {
    let mut options = vec!["ConnectTimeout=10"];
    if !command.is_empty() {
        options.push("RemoteCommand=none");
    }
    let words = door(host, movement)?.words(host, &options, if terminal { "-t" } else { "-T" });
    let mut words = words.into_iter();
    Some(Argv::new(words.next()?).args(words).args(command))
}

impl Door {
    /// `ssh` and its arguments up to the destination.
    fn words(self, host: &Host, options: &[&str], terminal: &str) -> Vec<String> {
        let mut words: Vec<String> = vec!["ssh".to_owned()];
        let mut option = |text: &str| words.extend(["-o".to_owned(), text.to_owned()]);
        options.iter().for_each(|text| option(text));
        // A connection that is kept open leads to the guest that was there before.
        for text in ["ControlMaster=no", "ControlPath=none", "ProxyUseFdpass=no"] {
            option(text);
        }
        if let Some(proxy) = &self.proxy {
            option(&format!("ProxyCommand={proxy}"));
        }
        if let Some(config) = host.ssh_config() {
            words.extend(["-F".to_owned(), config.to_string()]);
        }
        let port = self.port.to_string();
        words.extend([terminal.to_owned(), "-p".to_owned(), port, "-l".to_owned(), self.user]);
        words.extend(["--".to_owned(), self.destination]);
        words
    }
}

/// socat on the hypervisor as a `ProxyCommand`: plain words and numbers, nothing that a
/// shell there or here would read otherwise.
fn vsock_command(host: &Host, socat: &str, cid: u64, port: u16) -> String {
    let there = format!("{socat} - VSOCK-CONNECT:{cid}:{port}");
    match host.ssh() {
        None => there,
        Some(ssh) => ssh.proxied(&there),
    }
}

/// The command on the hypervisor that reaches guests over vsock, if there is one.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn vsock_program(host: &Host) -> Result<Option<String>> {
    let reply = host.script(script::VSOCK, &[]).await?;
    Ok(reply.fields.into_iter().next().filter(|command| is_plain(command)))
}

/// Whether a command is of plain words, beginning with a path.
fn is_plain(command: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.+=".contains(&b);
    command.starts_with('/') && command.split(' ').all(|word| !word.is_empty() && word.bytes().all(plain))
}

impl Way {
    /// The command line that hands its stdin to [`COMMAND`] in the guest.
    pub fn command(&self) -> Option<Argv> {
        let mut words = self.ssh.iter().cloned();
        Some(Argv::new(words.next()?).args(words).arg(COMMAND))
    }

    /// Runs a script in the guest.
    ///
    /// # Errors
    /// One word for why it did not run, as [`trouble`] has them.
    pub async fn script(&self, script: Script, args: &[String]) -> std::result::Result<Reply, &'static str> {
        let no_way = |_: Failure| "ssh-failed";
        let argv = self.command().ok_or("no-way-in")?.stdin(script.input(args).map_err(no_way)?);
        let output = process::answer(&argv, script.limits(), |_| true).await.map_err(|_| "ssh-failed")?;
        Reply::parse(&output.stdout).ok_or_else(|| trouble(&output))
    }
}

/// Why ssh did not get in, or what it found there, in one word. None of these is a
/// word of `probe.sh`: a probe that did not run has not been refused.
pub fn trouble(output: &Output) -> &'static str {
    if output.code != Some(255) {
        // ssh got in; there was no xargs or no sh.
        return "broken";
    }
    let text = output.errors();
    let words: &[(&str, &str)] = &[
        ("HOST IDENTIFICATION HAS CHANGED", "host-key-changed"),
        ("Host key verification failed", "host-key-unknown"),
        ("No ECDSA host key is known", "host-key-unknown"),
        ("host key is known for", "host-key-unknown"),
        ("Permission denied", "ssh-denied"),
        ("Too many authentication failures", "ssh-denied"),
        ("Connection refused", "ssh-refused"),
        // All that a hypervisor says of a guest that it cannot reach.
        ("open refused by peer", "ssh-refused"),
        ("timed out", "ssh-unreachable"),
        ("No route to host", "ssh-unreachable"),
        ("Network is unreachable", "ssh-unreachable"),
        ("Connection reset", "ssh-unreachable"),
    ];
    words.iter().find(|(said, _)| text.contains(said)).map_or("ssh-failed", |(_, word)| word)
}

/// The same as a sentence.
pub fn sentence(trouble: &str) -> &'static str {
    match trouble {
        "host-key-unknown" => "its host key is not known",
        "host-key-changed" => "its host key is not the one in known_hosts",
        "ssh-denied" => "it does not accept your key",
        "ssh-refused" => "it refuses the connection",
        "ssh-unreachable" => "it does not answer",
        "no-way-in" => "no address of it is known",
        "broken" => "it has no sh or no xargs",
        _ => "ssh fails",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_there_is_of_plain_words() {
        for good in ["/bin/socat", "/bin/setpriv --reuid=microvm -- /nix/store/0-a/bin/socat"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "socat", "/x;y", "/x $(y)", "/x\ty", "/x\ny", "/x  y", "/x %h", "/x ~", "/x \"y\""] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_ssh_says_becomes_a_word_that_is_no_refusal() {
        let ssh = |code, text: &str| {
            let stderr = text.as_bytes().to_vec();
            trouble(&Output { code: Some(code), stdout: b"refused\n".to_vec(), stderr })
        };
        assert_eq!(ssh(255, "root@10.1.0.2: Permission denied (publickey)."), "ssh-denied");
        assert_eq!(
            ssh(
                255,
                "No ED25519 host key is known for 10.1.0.2 and you have requested strict checking.\n\
                 Host key verification failed."
            ),
            "host-key-unknown"
        );
        assert_eq!(
            ssh(255, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed."),
            "host-key-changed"
        );
        assert_eq!(ssh(255, "Stdio forwarding request failed: Session open refused by peer"), "ssh-refused");
        assert_eq!(
            ssh(255, "ssh: connect to host 10.1.0.2 port 22: Connection timed out"),
            "ssh-unreachable"
        );
        assert_eq!(ssh(255, ""), "ssh-failed");
        assert_eq!(ssh(127, "sh: xargs: not found"), "broken");
    }
}
