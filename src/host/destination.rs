//! Who is asked for and where, and what came of asking as a sentence.

use std::fmt;

use crate::error::{Aftermath, Failure};
use crate::model::address::Address;

/// What a connection of ssh is made to. As text: what a user types after `ssh`.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    pub user: Option<&'a str>,
    pub host: &'a str,
    pub port: Option<u16>,
}

impl fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(port) = self.port {
            write!(f, "-p {port} ")?;
        }
        if let Some(user) = self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(self.host)
    }
}

impl Destination<'_> {
    /// The machine, whoever logs in.
    fn machine(self) -> Address {
        Address::Ssh { user: None, host: self.host.to_owned(), port: self.port }
    }

    /// The name under which known_hosts has its key.
    fn known_as(self) -> String {
        match self.port.filter(|port| *port != 22) {
            Some(port) => format!("'[{}]:{port}'", self.host),
            None => self.host.to_owned(),
        }
    }

    /// What it means that a name has no address, and what to do. That nobody answered the
    /// question is no proof that there is no such host.
    fn unresolved(self, said: &str) -> (String, String) {
        // glibc, macOS and musl, in this order.
        let none = ["Name or service not known", "nodename nor servname", "Name does not resolve"];
        if none.iter().any(|text| said.contains(text)) {
            let help = "check the address given with -H or in the settings".to_owned();
            return (format!("there is no host called {}", self.host), help);
        }
        let help = format!("see that names have addresses on this machine: getent hosts {}", self.host);
        (format!("cannot find out the address of {}", self.host), help)
    }

    /// A login that did not come to an end: exit 11.
    pub fn never_let_in(self) -> Failure {
        let what = format!("{} answers, but does not finish the login", self.machine());
        let help = format!("see that this works without a question: ssh -o BatchMode=yes {self} true");
        Failure::new(Aftermath::Unreachable, what).help(help)
    }

    /// What ssh said of a connection that it could not make, with what to do: exit 11.
    /// `keyed` where keys came with the command.
    pub fn explain(self, said: &str, keyed: bool) -> Failure {
        let machine = self.machine();
        let unknown = ["Host key verification failed", "host key"].iter().any(|text| said.contains(text));
        let (what, help) = if unknown && (said.contains("CHANGED") || said.contains("has changed")) {
            (
                format!("the host key of {machine} is not the one in known_hosts"),
                format!(
                    "find out why before anything else; if the machine was reinstalled: ssh-keygen -R {}",
                    self.known_as()
                ),
            )
        } else if unknown && keyed {
            let to_scan = Destination { user: None, ..self };
            (
                format!("the host key of {machine} is not known"),
                format!(
                    "DEPLOYVM_KNOWN_HOSTS, if it is set, takes the place of known_hosts: add the line that \
                     `ssh-keyscan {to_scan}` prints, once you have compared its fingerprint"
                ),
            )
        } else if unknown {
            (
                format!("the host key of {machine} is not known"),
                format!("connect once by hand and compare the fingerprint: ssh {self}"),
            )
        } else if said.contains("Permission denied") || said.contains("Too many authentication failures") {
            let help = if keyed {
                "the public half of DEPLOYVM_SSH_KEY must be in the authorized_keys of that user there"
                    .to_owned()
            } else {
                format!("see that this works without a password: ssh -o BatchMode=yes {self} true")
            };
            let who = self.user.map(|user| format!(" for {user}")).unwrap_or_default();
            (format!("{machine} does not accept your key{who}"), help)
        } else if said.contains("Could not resolve") {
            self.unresolved(said)
        } else if said.contains("No such file or directory") {
            ("ssh was not found on PATH".to_owned(), "install OpenSSH's client".to_owned())
        } else {
            (format!("cannot reach {machine}"), format!("see that this works: ssh {self} true"))
        };
        Failure::new(Aftermath::Unreachable, what).output(said).help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::Destination;

    const ROOT: Destination<'static> = Destination { user: Some("root"), host: "hv", port: None };
    const ELSEWHERE: Destination<'static> = Destination { user: None, host: "hv", port: Some(2222) };

    fn helps(to: Destination<'_>, said: &str, keyed: bool, message: &str, help: &str) {
        let failure = to.explain(said, keyed);
        assert_eq!(failure.message, message);
        assert_eq!(failure.help.as_deref(), Some(help));
        assert_eq!(failure.output, said.lines().collect::<Vec<_>>());
    }

    #[test]
    fn what_to_type_asks_for_the_same_user_at_the_same_port() {
        let denied = "root@hv: Permission denied (publickey).";
        let without = "see that this works without a password: ssh -o BatchMode=yes root@hv true";
        let keyed = "the public half of DEPLOYVM_SSH_KEY must be in the authorized_keys of that user there";
        helps(ROOT, denied, false, "hv does not accept your key for root", without);
        helps(ROOT, denied, true, "hv does not accept your key for root", keyed);
        let (down, refused) = ("connect to host hv port 22: No route to host", "Connection refused");
        helps(ROOT, down, false, "cannot reach hv", "see that this works: ssh root@hv true");
        helps(ELSEWHERE, refused, false, "cannot reach hv:2222", "see that this works: ssh -p 2222 hv true");
        let help = "see that this works without a question: ssh -o BatchMode=yes root@hv true";
        assert_eq!(ROOT.never_let_in().help.as_deref(), Some(help));
    }

    #[test]
    fn only_who_was_told_so_says_that_there_is_no_such_host() {
        let said = |why: &str| format!("ssh: Could not resolve hostname hv: {why}");
        let help = "check the address given with -H or in the settings";
        for why in [
            "Name or service not known",
            "nodename nor servname provided, or not known",
            "Name does not resolve",
        ] {
            helps(ROOT, &said(why), false, "there is no host called hv", help);
        }
        let help = "see that names have addresses on this machine: getent hosts hv";
        for why in ["Temporary failure in name resolution", "Try again", "System error"] {
            helps(ROOT, &said(why), false, "cannot find out the address of hv", help);
        }
    }

    #[test]
    fn a_key_is_looked_for_under_the_name_that_known_hosts_has() {
        let (no, changed) =
            ("Host key verification failed.", "Host key for hv has changed.\nHost key verification failed.");
        let why = "find out why before anything else; if the machine was reinstalled: ssh-keygen -R";
        let other = "the host key of hv is not the one in known_hosts";
        helps(ROOT, changed, false, other, &format!("{why} hv"));
        let other = "the host key of hv:2222 is not the one in known_hosts";
        helps(ELSEWHERE, changed, false, other, &format!("{why} '[hv]:2222'"));
        let by_hand = "connect once by hand and compare the fingerprint: ssh root@hv";
        helps(ROOT, no, false, "the host key of hv is not known", by_hand);
        let scan = "DEPLOYVM_KNOWN_HOSTS, if it is set, takes the place of known_hosts: add the line that \
                    `ssh-keyscan -p 2222 hv` prints, once you have compared its fingerprint";
        helps(ELSEWHERE, no, true, "the host key of hv:2222 is not known", scan);
    }
}
