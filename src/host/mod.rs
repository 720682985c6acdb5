//! The only door outside: processes, ssh, the constant scripts, git, the clock and
//! network probes. It carries out what it is asked and decides nothing.

pub mod cache;
pub mod clock;
mod destination;
pub mod detached;
pub mod fresh;
pub mod git;
pub mod guest;
pub mod hooks;
pub mod identity;
pub mod keyring;
pub mod machine;
pub mod notebook;
pub mod probe;
pub mod process;
pub mod reply;
pub mod script;
pub mod ssh;
pub mod store;
pub mod terminal;

use std::sync::{Arc, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::Result;
use crate::model::address::Address;
use crate::model::argv::{Argv, Output};
use crate::model::login::Login;
use keyring::Keyring;
use process::Limits;
use reply::Reply;
use script::Script;
use ssh::Ssh;

/// A machine that is, or plays, the hypervisor.
#[derive(Debug)]
pub struct Host {
    reach: Reach,
    risen: OnceLock<Risen>,
    keyring: Arc<Keyring>,
    /// What every ssh is given: the keyring's configuration.
    config: Option<Utf8PathBuf>,
}

#[derive(Debug)]
enum Reach {
    /// This machine.
    Local,
    /// Another one, over ssh.
    Ssh(Box<Ssh>),
}

/// How a login that is not root runs scripts as root.
#[derive(Debug, Clone)]
struct Risen {
    /// What the login shell is asked to run instead of [`script::COMMAND`].
    command: String,
    login: Login,
}

impl Host {
    /// This machine.
    pub fn local() -> Self {
        Self { reach: Reach::Local, risen: OnceLock::new(), keyring: Arc::default(), config: None }
    }

    /// Opens the way to a hypervisor, with these keys if there are any.
    ///
    /// # Errors
    /// Exit 11 when there is no way, 2 when a key cannot be used.
    pub async fn connect(address: &Address, keyring: &Arc<Keyring>) -> Result<Self> {
        let config = keyring.config().await?;
        let reach = match address.clone() {
            Address::Local => Reach::Local,
            Address::Ssh { user, host, port } => {
                Reach::Ssh(Box::new(Ssh::connect(user, host, port, config.clone()).await?))
            }
        };
        Ok(Self { reach, risen: OnceLock::new(), keyring: Arc::clone(keyring), config })
    }

    /// The same way once more, when a connection was lost: as root in the same manner.
    ///
    /// # Errors
    /// Exit 11 when there is no way any more.
    pub async fn anew(&self, address: &Address) -> Result<Self> {
        Ok(Self { risen: self.risen.clone(), ..Self::connect(address, &self.keyring).await? })
    }

    /// From now on scripts run as root by this command, which is constant.
    pub fn rise(&self, command: String, login: Login) {
        // Whoever was first has found the same.
        let _ = self.risen.set(Risen { command, login });
    }

    /// Who we are there, where that is not root.
    pub fn login(&self) -> Option<&Login> {
        self.risen.get().map(|risen| &risen.login)
    }

    /// Configuration that an ssh of our own must be given (`-F`), if any.
    pub fn ssh_config(&self) -> Option<&Utf8Path> {
        self.config.as_deref()
    }

    /// The connection, where there is one.
    pub fn ssh(&self) -> Option<&Ssh> {
        match &self.reach {
            Reach::Local => None,
            Reach::Ssh(ssh) => Some(ssh),
        }
    }

    /// Runs a script there and takes its answer apart.
    ///
    /// # Errors
    /// Exit 11 when the script could not run or its answer is not whole.
    pub async fn script(&self, script: Script, args: &[String]) -> Result<Reply> {
        self.ask(script, &self.starts(script, args)?, script.limits(), Reply::parse, |_| true).await
    }

    /// The same by another command than usual, such as one that would make us root.
    ///
    /// # Errors
    /// As for [`Host::script`].
    pub async fn script_by(&self, command: &str, script: Script, args: &[String]) -> Result<Reply> {
        let argv = self.line(command).stdin(script.input(args)?);
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
        let argv = self.starts(script, args)?;
        self.ask(script, &argv, script.limits_followed(), Reply::parse_followed, on_line).await
    }

    async fn ask(
        &self,
        script: Script,
        argv: &Argv,
        limits: Limits,
        parse: fn(&[u8]) -> Option<Reply>,
        mut on_line: impl FnMut(&str) -> bool,
    ) -> Result<Reply> {
        let mut output = process::answer(argv, limits, &mut on_line).await;
        if let Ok(crowded) = &output
            && let Some(again) = self.beside(argv, crowded)
        {
            output = process::answer(&again, limits, on_line).await;
        }
        let output = output.map_err(|why| reply::stopped(script, why, &self.by_hand("true")))?;
        parse(&output.stdout).ok_or_else(|| reply::not_whole(script, &output, &self.by_hand("true")))
    }

    /// The same over a connection of its own, where the hypervisor allows no more sessions
    /// over ours (`MaxSessions`).
    fn beside(&self, argv: &Argv, output: &Output) -> Option<Argv> {
        let fresh = self.ssh()?.fresh_command(None, argv.args.last()?);
        ssh::is_crowded(output).then(|| Argv { stdin: argv.stdin.clone(), ..fresh })
    }

    /// Whether the connection is still there.
    pub async fn is_alive(&self) -> bool {
        match self.ssh() {
            None => true,
            Some(ssh) => process::run(&ssh.check()).await.is_ok_and(|output| output.ok()),
        }
    }

    /// Whether it answers over the connection. Nobody may have noticed yet that a line is
    /// gone: then this ends when somebody does.
    pub async fn answers(&self) -> bool {
        self.is_alive().await && self.script(script::NEEDS, &[]).await.is_ok()
    }

    /// What starts [`script::COMMAND`] there, as root.
    pub fn command(&self) -> Argv {
        self.line(self.spelled())
    }

    /// The same over a connection of its own, to another address if one is given.
    ///
    /// # Errors
    /// Exit 11, with what to do, when there is no such connection, and as for
    /// [`Host::script`].
    pub async fn script_fresh(&self, to: Option<&Address>, script: Script, args: &[String]) -> Result<Reply> {
        let Some(ssh) = self.ssh() else { return self.script(script, args).await };
        let argv = ssh.fresh_command(to, self.spelled()).stdin(script.input(args)?);
        let output = process::answer(&argv, script.limits(), |_| true).await;
        let output = output.map_err(|why| reply::stopped(script, why, &self.by_hand("true")))?;
        if output.code == Some(255) {
            return Err(ssh.trouble(to, &output.errors()));
        }
        Reply::parse(&output.stdout).ok_or_else(|| reply::not_whole(script, &output, &self.by_hand("true")))
    }

    /// What `nix copy` needs: the store's URL and NIX_SSHOPTS. `None`: the store is ours.
    pub fn store(&self) -> Option<(String, String)> {
        self.ssh().map(Ssh::store)
    }

    /// What a user types to run this command there.
    pub fn by_hand(&self, command: &str) -> String {
        self.ssh().map_or_else(|| command.to_owned(), |ssh| ssh.by_hand(command))
    }

    /// Ends the connection.
    pub async fn close(self) {
        if let Reach::Ssh(ssh) = self.reach {
            ssh.close().await;
        }
    }

    /// A program there, of plain words, with our terminal and as root; `None` where root
    /// runs nothing but scripts.
    pub fn attended(&self, program: &str) -> Option<Argv> {
        let command = format!("{}{program}", self.spelled().strip_suffix(script::COMMAND)?);
        Some(match self.ssh() {
            None => self.line(&command),
            Some(ssh) => ssh.attended(&command),
        })
    }

    fn spelled(&self) -> &str {
        self.risen.get().map_or(script::COMMAND, |risen| &risen.command)
    }

    fn line(&self, command: &str) -> Argv {
        match self.ssh() {
            None => {
                let mut words = command.split(' ');
                Argv::new(words.next().unwrap_or_default()).args(words)
            }
            Some(ssh) => ssh.command(command),
        }
    }

    fn starts(&self, script: Script, args: &[String]) -> Result<Argv> {
        let input = script.input(args)?;
        Ok(match (&self.reach, self.risen.get()) {
            (Reach::Local, None) => script::here(&input),
            _ => self.command().stdin(input),
        })
    }
}
