//! Network probes from this machine, and from inside a guest: the same `probe.sh` that
//! the hypervisor runs, so that a check means the same everywhere.

use super::script::{self, COMMAND};
use super::{Host, process};
use crate::model::argv::Argv;
use crate::model::check::{Check, From, Probe};
use crate::model::plan::Move;
use crate::model::settings::Via;

const PROBE: &str = include_str!("scripts/probe.sh");

/// The ways to where probes run, besides this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// Into the guest: `ssh` and its arguments, with the destination, where the remote
    /// command begins; empty when there is none.
    pub ssh: Vec<String>,
    /// To the hypervisor: what starts [`COMMAND`] there.
    pub hypervisor: Argv,
}

/// The way into a VM's guest.
pub fn way(host: &Host, movement: &Move) -> Way {
    let hypervisor = host.command();
    let Some(address) = movement.address.as_deref() else { return Way { ssh: Vec::new(), hypervisor } };
    let guest = &movement.guest;
    let mut words: Vec<String> = vec!["ssh".to_owned()];
    let mut option = |text: &str| words.extend(["-o".to_owned(), text.to_owned()]);
    option("BatchMode=yes");
    option("StrictHostKeyChecking=yes");
    option("ConnectTimeout=10");
    if let (Via::Hypervisor, Host::Ssh(ssh)) = (guest.via.unwrap_or_default(), host) {
        option(&format!("ProxyCommand={}", ssh.proxy_command()));
    }
    let user = guest.user.as_deref().unwrap_or("root").to_owned();
    words.extend([
        "-T".to_owned(),
        "-p".to_owned(),
        guest.port.unwrap_or(22).to_string(),
        "-l".to_owned(),
        user,
    ]);
    words.extend(["--".to_owned(), address.to_owned()]);
    Way { ssh: words, hypervisor }
}

/// Asks once. The answer is one of the words of `probe.sh`.
pub async fn ask(check: &Check, way: &Way) -> String {
    let command = match check.from {
        From::Vm => {
            let mut words = way.ssh.iter().cloned();
            let Some(program) = words.next() else { return "broken".to_owned() };
            Some(Argv::new(program).args(words).arg(COMMAND))
        }
        From::Hypervisor => Some(way.hypervisor.clone()),
        From::Laptop => None,
    };
    let mut input = Vec::new();
    for value in [PROBE, "probe"] {
        input.extend_from_slice(value.as_bytes());
        input.push(0);
    }
    for value in words(&check.probe) {
        input.extend_from_slice(value.as_bytes());
        input.push(0);
    }
    let command = match command {
        Some(command) => command.stdin(input),
        None => script::here(&input),
    };
    let answer = process::run(&command).await.map(|o| o.text()).unwrap_or_default();
    match answer.split_whitespace().last() {
        Some(word) => word.to_owned(),
        None => "broken".to_owned(),
    }
}

/// A probe as the words that `probe.sh` takes: kind, target, port, status, body.
pub fn words(probe: &Probe) -> [String; 5] {
    let none = String::new;
    match probe {
        Probe::Http { url, status, body } => [
            "http".to_owned(),
            url.clone(),
            none(),
            status.map(|s| s.to_string()).unwrap_or_default(),
            body.clone().unwrap_or_default(),
        ],
        Probe::Tcp { host, port } => ["tcp".to_owned(), host.clone(), port.to_string(), none(), none()],
        Probe::Ping { host } => ["ping".to_owned(), host.clone(), none(), none(), none()],
        Probe::Dns { name } => ["dns".to_owned(), name.clone(), none(), none(), none()],
        Probe::Exec { argv } => ["exec".to_owned(), argv.join("\n"), none(), none(), none()],
    }
}
