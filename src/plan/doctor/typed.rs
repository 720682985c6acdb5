//! How the commands that mend things are typed: on the laptop, whatever they are about.

use crate::model::address::Address;
use crate::model::argv::word;
use crate::model::finding::Mend;
use crate::model::login::Elevate;

/// How commands are typed for this hypervisor.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// `ssh -p 22 root@hv`; `None` where the hypervisor is this machine.
    ssh: Option<String>,
    /// What makes the login root, with a blank behind; empty for root.
    rise: &'static str,
    /// `root@hv`, as settings have it.
    address: String,
    /// `-H root@hv` with a blank before; empty where deployvm finds it by itself.
    hypervisor: String,
}

impl Typed {
    /// For a hypervisor. `named` is what the user gave with -H, if anything.
    pub fn new(address: &Address, rise: Option<Elevate>, named: Option<&str>) -> Self {
        let ssh = match address {
            Address::Local => None,
            Address::Ssh { user, host, port } => {
                let port = port.map(|port| format!("-p {port} ")).unwrap_or_default();
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                Some(format!("ssh {port}{user}{host}"))
            }
        };
        let rise = match rise {
            Some(Elevate::Sudo) => "sudo ",
            Some(Elevate::Doas) => "doas ",
            Some(Elevate::Run0) => "run0 ",
            Some(Elevate::None) | None => "",
        };
        let hypervisor = named.map(|named| format!(" -H {}", word(named))).unwrap_or_default();
        Self { ssh, rise, address: address.to_string(), hypervisor }
    }

    /// Whether the hypervisor is this machine.
    pub fn is_local(&self) -> bool {
        self.ssh.is_none()
    }

    /// Commands for the hypervisor, one after the other as long as they succeed.
    pub fn there(&self, commands: &[String]) -> Mend {
        let risen: Vec<String> = commands.iter().map(|command| format!("{}{command}", self.rise)).collect();
        let all = risen.join(" && ");
        Mend::Type(match &self.ssh {
            Some(ssh) => format!("{ssh} {}", word(&all)),
            None => all,
        })
    }

    /// One command for the hypervisor.
    pub fn once(&self, command: impl Into<String>) -> Mend {
        self.there(&[command.into()])
    }

    /// Writes a line into a file there, or, with `adds`, at its end.
    pub fn write(&self, line: &str, file: &str, adds: bool) -> Mend {
        let echo = format!("echo {}", word(line));
        let all = match (self.rise, adds) {
            ("", false) => format!("{echo} >{file}"),
            ("", true) => format!("{echo} >>{file}"),
            // The shell that redirects has not risen.
            (rise, false) => format!("{echo} | {rise}tee {file}"),
            (rise, true) => format!("{echo} | {rise}tee -a {file}"),
        };
        Mend::Type(match &self.ssh {
            Some(ssh) => format!("{ssh} {}", word(&all)),
            None => all,
        })
    }

    /// The lines of deployvm.toml that say this of the hypervisor; `name` is what it has there.
    pub fn setting(&self, name: Option<&str>, key: &str, value: &str) -> String {
        let line = format!("{key} = \"{value}\"");
        match name {
            Some(name) => format!("[hypervisors.{name}]\n{line}"),
            None => format!("[hypervisors.main]\naddress = \"{}\"\n{line}", self.address),
        }
    }

    /// A deployvm command with its words, which must be plain.
    pub fn deployvm(&self, command: &str) -> Mend {
        Mend::Type(format!("deployvm {command}{}", self.hypervisor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_means_the_same_there() {
        let at = |address: &str, rise| Typed::new(&address.parse().unwrap(), rise, Some("hv"));
        let two = ["ln -s a b".to_owned(), format!("echo {}", word("it's"))];
        assert_eq!(at("local", None).there(&two).to_string(), r"ln -s a b && echo 'it'\''s'");
        assert_eq!(
            at("deploy@hv:2222", Some(Elevate::Sudo)).there(&two).to_string(),
            r"ssh -p 2222 deploy@hv 'sudo ln -s a b && sudo echo '\''it'\''\'\'''\''s'\'''"
        );
        let write = |rise, adds| at("hv", rise).write("a b", "/x", adds).to_string();
        assert_eq!(write(None, false), r"ssh hv 'echo '\''a b'\'' >/x'");
        assert_eq!(write(Some(Elevate::Doas), true), r"ssh hv 'echo '\''a b'\'' | doas tee -a /x'");
        assert_eq!(at("root@hv", None).deployvm("push vm1").to_string(), "deployvm push vm1 -H hv");
        let setting = |name| at("root@hv:2222", None).setting(name, "flake", "REF");
        assert_eq!(setting(None), "[hypervisors.main]\naddress = \"root@hv:2222\"\nflake = \"REF\"");
        assert_eq!(setting(Some("hv")), "[hypervisors.hv]\nflake = \"REF\"");
        assert_eq!(Typed::default().deployvm("push vm1").to_string(), "deployvm push vm1");
    }
}
