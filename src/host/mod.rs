//! The only door outside: processes, ssh, the constant scripts, git, the clock and
//! network probes. It carries out what it is asked and decides nothing.

pub mod cache;
pub mod clock;
pub mod git;
pub mod guest;
pub mod identity;
pub mod machine;
pub mod probe;
pub mod process;
pub mod script;
pub mod ssh;

use crate::error::{Aftermath, Failure, Result};
use crate::model::address::Address;
use crate::model::argv::{Argv, Output};
use script::{Reply, Script};
use ssh::Ssh;

/// A machine that is, or plays, the hypervisor.
#[derive(Debug)]
pub enum Host {
    /// This machine.
    Local,
    /// Another one, over ssh.
    Ssh(Box<Ssh>),
}

impl Host {
    /// Opens the way to a hypervisor.
    ///
    /// # Errors
    /// Exit 11 when there is no way.
    pub async fn connect(address: &Address) -> Result<Self> {
        match address.clone() {
            Address::Local => Ok(Self::Local),
            Address::Ssh { user, host, port } => {
                Ok(Self::Ssh(Box::new(Ssh::connect(user, host, port).await?)))
            }
        }
    }

    /// Runs a script there and takes its answer apart.
    ///
    /// # Errors
    /// Exit 11 when the script could not run or its answer is not whole.
    pub async fn script(&self, script: Script, args: &[String]) -> Result<Reply> {
        let input = script.input(args)?;
        let argv = match self {
            Self::Local => script::here(&input),
            Self::Ssh(_) => self.command().stdin(input),
        };
        let output = process::run(&argv).await?;
        reply(script, &output, Reply::parse(&output.stdout))
    }

    /// The same for a script that first says lines: each is handed over as it comes.
    ///
    /// # Errors
    /// As for [`Host::script`].
    pub async fn follow(
        &self,
        script: Script,
        args: &[String],
        mut on_line: impl FnMut(&str),
    ) -> Result<Reply> {
        let keep = |line: &str| {
            on_line(line);
            true
        };
        self.sift(script, args, keep).await
    }

    /// The same, but lines to which `on_line` says no are not part of the answer: of a
    /// build log there may be more than is ever kept.
    ///
    /// # Errors
    /// As for [`Host::script`].
    pub async fn sift(
        &self,
        script: Script,
        args: &[String],
        on_line: impl FnMut(&str) -> bool,
    ) -> Result<Reply> {
        let input = script.input(args)?;
        let argv = match self {
            Self::Local => script::here(&input),
            Self::Ssh(_) => self.command().stdin(input),
        };
        let output = process::sift(&argv, on_line, |_| true).await?;
        reply(script, &output, Reply::parse_followed(&output.stdout))
    }

    /// Whether the connection is still there.
    pub async fn is_alive(&self) -> bool {
        match self {
            Self::Local => true,
            Self::Ssh(ssh) => process::run(&ssh.check()).await.is_ok_and(|output| output.ok()),
        }
    }

    /// What starts [`script::COMMAND`] there.
    pub fn command(&self) -> Argv {
        match self {
            Self::Local => local_command(),
            Self::Ssh(ssh) => ssh.command(script::COMMAND),
        }
    }

    /// The same over a connection of its own, to another address if one is given.
    ///
    /// # Errors
    /// Exit 11, with what to do, when there is no such connection, and as for
    /// [`Host::script`].
    pub async fn script_fresh(&self, to: Option<&Address>, script: Script, args: &[String]) -> Result<Reply> {
        let input = script.input(args)?;
        let (argv, explain) = match self {
            Self::Local => (script::here(&input), None),
            Self::Ssh(ssh) => (ssh.fresh_command(to, script::COMMAND).stdin(input), Some(ssh)),
        };
        let output = process::run(&argv).await?;
        match explain.filter(|_| output.code == Some(255)) {
            Some(ssh) => Err(ssh.trouble(to, &output.errors())),
            None => reply(script, &output, Reply::parse(&output.stdout)),
        }
    }

    /// What `nix copy` needs: the store's URL and NIX_SSHOPTS. `None`: the store is ours.
    pub fn store(&self) -> Option<(String, String)> {
        match self {
            Self::Local => None,
            Self::Ssh(ssh) => Some(ssh.store()),
        }
    }

    /// What a user types to run this command there.
    pub fn by_hand(&self, command: &str) -> String {
        match self {
            Self::Local => command.to_owned(),
            Self::Ssh(ssh) => ssh.by_hand(command),
        }
    }

    /// Ends the connection.
    pub async fn close(self) {
        if let Self::Ssh(ssh) = self {
            ssh.close().await;
        }
    }
}

fn local_command() -> Argv {
    let mut words = script::COMMAND.split(' ');
    Argv::new(words.next().unwrap_or_default()).args(words)
}

fn reply(script: Script, output: &Output, reply: Option<Reply>) -> Result<Reply> {
    reply.ok_or_else(|| {
        let mut text = output.errors();
        if text.trim().is_empty() {
            text = output.text();
        }
        let failure = Failure::new(
            Aftermath::Unreachable,
            format!("the hypervisor gave no whole answer to {}", script.name),
        );
        let failure = failure.output(&text);
        if text.contains("not found") {
            failure.help("the hypervisor needs sh, xargs and coreutils on the PATH of a login over ssh")
        } else {
            failure.help("the connection may have been lost: try again, and see what `deployvm status` says")
        }
    })
}
