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
pub mod reply;
pub mod script;
pub mod ssh;

use crate::error::Result;
use crate::model::address::Address;
use crate::model::argv::Argv;
use process::Limits;
use reply::Reply;
use script::Script;
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
        self.ask(script, &argv, script.limits(), Reply::parse, |_| true).await
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
        self.ask(script, &argv, script.limits_followed(), Reply::parse_followed, on_line).await
    }

    async fn ask(
        &self,
        script: Script,
        argv: &Argv,
        limits: Limits,
        parse: fn(&[u8]) -> Option<Reply>,
        on_line: impl FnMut(&str) -> bool,
    ) -> Result<Reply> {
        let output = process::answer(argv, limits, on_line).await;
        let output = output.map_err(|why| reply::stopped(script, why, &self.by_hand("true")))?;
        parse(&output.stdout).ok_or_else(|| reply::not_whole(script, &output, &self.by_hand("true")))
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

    /// The same over a connection of its own.
    ///
    /// # Errors
    /// As for [`Host::script`].
    pub async fn script_fresh(&self, script: Script, args: &[String]) -> Result<Reply> {
        let input = script.input(args)?;
        let argv = match self {
            Self::Local => script::here(&input),
            Self::Ssh(ssh) => ssh.fresh_command(script::COMMAND).stdin(input),
        };
        self.ask(script, &argv, script.limits(), Reply::parse, |_| true).await
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
