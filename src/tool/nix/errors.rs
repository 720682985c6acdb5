//! What Nix complains about. From a wall of text the real message is taken: the last
//! line that begins with `error:` and what follows it. Nix 2.8 puts it first, later
//! versions put it after a trace. Well-known complaints get a name, so that the user
//! can be told what to do; their wordings differ between versions.

use super::version;
use crate::error::{Aftermath, Failure, clean_line};
use crate::model::argv::Output;

/// Most lines of a complaint that are kept after its first.
const MOST_DETAILS: usize = 20;

/// A complaint that has a known remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// There is no flake at that place.
    NoFlake,
    /// The text of a Nix file is wrong.
    Syntax,
    /// A file of the flake is not there, or git does not know it yet.
    Untracked(String),
    /// Nix does not allow flakes, in spite of our flag.
    FeatureOff,
    /// The flake lacks the attribute that was asked for.
    NoAttribute,
    /// The repository belongs to another user.
    Owner,
    /// Nix 2.8 cannot read a lock file that a later version wrote.
    MutableLock,
    /// The lock file's format is newer than this Nix.
    LockFormat,
    /// The store's format is newer than this Nix.
    StoreFormat,
    /// The flake uses something that came with a later version.
    Newer {
        /// What, as it is written.
        what: String,
        /// The first version that has it.
        since: String,
    },
    /// Nix cannot express this place as a URL.
    BadUrl,
    /// The repository has no such commit.
    NoRevision,
    /// Nix runs as root without build users.
    NoBuildUsers,
    /// The store needs root or a daemon, and there is neither.
    NoStore,
    /// No room left.
    NoSpace,
    /// Something had to be fetched and the network did not help.
    Offline,
    /// Nix was ended from outside.
    Killed,
    /// The other side has no `nix-daemon` on the PATH of an ssh session.
    NoDaemon,
    /// The other side's shell says something before Nix does.
    Chatty,
    /// The other side does not trust the user, and nobody has signed the paths.
    Unsigned,
}

/// A complaint of Nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it says, one line, without `error:`.
    pub headline: String,
    /// What follows.
    pub details: Vec<String>,
    /// Its name, if it is a well-known one.
    pub known: Option<Known>,
}

/// Rewords that the local Nix cannot be started: no host is out of reach.
pub fn not_started(failure: Failure) -> Failure {
    failure
        .after(Aftermath::NotBuilt)
        .help("install Nix (https://nixos.org/download) or put it on PATH, then try again")
}

/// Takes the real message from a failed command.
pub fn explain(output: &Output) -> Message {
    let mut message = read(&output.errors());
    if message.headline.is_empty() {
        (message.headline, message.known) = match output.code {
            Some(code) => (format!("nix exited with {code} and said nothing"), None),
            None => ("nix was killed".to_owned(), Some(Known::Killed)),
        };
    }
    message
}

/// Takes the real message from what Nix wrote to stderr.
pub fn read(stderr: &str) -> Message {
    let lines: Vec<String> = stderr.lines().map(clean_line).collect();
    let found = lines.iter().rposition(|l| l.trim_start().starts_with("error:"));
    let Some(at) = found else {
        let headline = lines.iter().rev().find(|l| !l.trim().is_empty()).cloned().unwrap_or_default();
        return Message { headline: headline.trim().to_owned(), details: Vec::new(), known: None };
    };
    let first = lines.get(at).and_then(|l| l.trim_start().strip_prefix("error:")).unwrap_or_default();
    let after = lines.iter().skip(at + 1).map(|l| l.trim_end());
    let noise = |l: &&str| {
        let l = l.trim_start();
        l.is_empty() || l.starts_with("(use '--show-trace'") || l.starts_with("warning:")
    };
    let mut rest = after.filter(|l| !noise(l)).map(str::to_owned);
    let mut headline = first.trim().to_owned();
    if headline.is_empty() {
        headline = rest.next().unwrap_or_default().trim().to_owned();
    }
    let mut details = outdented(rest.take(MOST_DETAILS).collect());
    if headline.ends_with("with the following error message: '") && !details.is_empty() {
        // That of `abort` begins on a line of its own.
        headline = details.remove(0).trim().to_owned();
    }
    let known = classify(&headline, &details, stderr);
    if headline.starts_with("cannot open connection to") || headline.starts_with("failed to start SSH") {
        // The reason is what ssh, or the other side, has said before.
        let said = lines.iter().take(at).filter(|l| !noise(&l.as_str()));
        details = said.cloned().collect();
    }
    if headline.starts_with("program 'git' failed") {
        // git has said why; Nix 2.8 only says that it did.
        let said = lines.iter().rev().find_map(|l| l.trim_start().strip_prefix("fatal: "));
        if let Some(said) = said {
            headline = format!("git: {said}");
            details.clear();
        }
    }
    Message { headline, details, known }
}

/// Takes the common indentation away.
fn outdented(lines: Vec<String>) -> Vec<String> {
    let indent = |l: &String| l.len() - l.trim_start_matches(' ').len();
    let common = lines.iter().map(indent).min().unwrap_or_default();
    lines.iter().map(|l| l.get(common..).unwrap_or_default().to_owned()).collect()
}

fn classify(headline: &str, details: &[String], stderr: &str) -> Option<Known> {
    let says = |text: &str| headline.contains(text);
    let git = headline.starts_with("program 'git' failed");
    if git && (stderr.contains("dubious ownership") || stderr.contains("usage: git diff --no-index"))
        || says("is not owned by current user")
    {
        // Without an exception for that directory, Nix 2.8 may end up in git's own usage text.
        return Some(Known::Owner);
    }
    if let Some(path) = missing_file(headline) {
        return Some(Known::Untracked(path));
    }
    if let Some((what, since)) = version::newer(headline, details) {
        return Some(Known::Newer { what, since });
    }
    let known = if says("could not find a flake.nix file")
        || says("is not part of a flake")
        || says("is not a flake")
        || (says("Git repository") && says("does not exist"))
        || (says("getting status of") && says("No such file"))
    {
        Known::NoFlake
    } else if says("syntax error") {
        Known::Syntax
    } else if says("experimental Nix feature") || says("experimental feature") {
        Known::FeatureOff
    } else if says("does not provide attribute") {
        Known::NoAttribute
    } else if says("lockfile contains mutable lock") || says("lock file contains") {
        Known::MutableLock
    } else if says("lock file '") && says("has unsupported version") {
        Known::LockFormat
    } else if says("current Nix store schema is version") {
        Known::StoreFormat
    } else if says("is not a valid URL") || says("is invalid") && says("URL") {
        Known::BadUrl
    } else if says("Cannot find Git revision") || says("getting Git object") {
        Known::NoRevision
    } else if says("build-users-group") {
        Known::NoBuildUsers
    } else if says("/nix/var/nix") && (says("Permission denied") || says("Operation not permitted")) {
        Known::NoStore
    } else if says("No space left on device") || says("database or disk is full") {
        Known::NoSpace
    } else if says("unable to download") || says("Could not resolve host") || says("resolve host name") {
        Known::Offline
    } else if says("cannot open connection to") && stderr.lines().any(lacks_daemon) {
        Known::NoDaemon
    } else if says("protocol mismatch, got") {
        Known::Chatty
    } else if says("lacks a valid signature") || says("lacks a signature by a trusted key") {
        Known::Unsigned
    } else {
        return None;
    };
    Some(known)
}

/// The path inside the flake's source of a file that Nix did not find, in the
/// wordings of three versions:
/// `getting status of '/nix/store/…-source/x.nix': No such file or directory`,
/// `path '/nix/store/…-source/x.nix' does not exist`,
/// `Path 'x.nix' in the repository "/w/flake" is not tracked by Git.`,
/// `Path 'x.nix' does not exist in Git repository "/w/flake".`
/// bash: `nix-daemon: command not found`, dash: `nix-daemon: not found`, env:
/// `'nix-daemon': No such file or directory`.
fn lacks_daemon(line: &str) -> bool {
    line.contains("nix-daemon")
        && ["nix-daemon: ", "not found", "No such file"].iter().any(|said| line.contains(said))
}

fn missing_file(headline: &str) -> Option<String> {
    let quoted = headline.split('\'').nth(1)?;
    if headline.contains("is not tracked by Git") || headline.contains("' does not exist in Git repository") {
        return Some(quoted.to_owned());
    }
    let missing = headline.starts_with("getting status of") && headline.contains("No such file")
        || headline.starts_with("path '") && headline.ends_with("does not exist");
    let (_, inside) = quoted.split_once("-source/").filter(|_| missing)?;
    quoted.contains("/nix/store/").then(|| inside.to_owned())
}

impl Known {
    /// What to do or type next.
    pub fn help(&self) -> String {
        match self {
            Self::NoFlake => "change to the directory of your flake, or name it with --flake; `deployvm init` starts a new one".into(),
            Self::Syntax => "mend the file at the place shown above".into(),
            Self::Untracked(path) => {
                format!("if the file exists, git does not know it yet: git add {path} (a flake sees only what git tracks)")
            }
            Self::FeatureOff => "allow `experimental-features = nix-command flakes` in nix.conf".into(),
            Self::NoAttribute => "a flake for deployvm has microVMs in its output `nixosConfigurations`".into(),
            Self::Owner => "the repository belongs to another user: change its owner, or trust it with \
                 git config --global --add safe.directory DIRECTORY"
                .into(),
            Self::MutableLock => "a lock file with inputs like `path:./dir` needs Nix 2.26 or later here; \
                 or replace these inputs and lock again"
                .into(),
            Self::LockFormat => "a later version of Nix has written this lock file: use that one here, or lock again".into(),
            Self::StoreFormat => "a later version of Nix has written this store: use that one".into(),
            Self::Newer { what, since } => format!("{what} needs Nix {since} or later here"),
            Self::BadUrl => "use a path or URL that Nix accepts: no '#', '?' or '%' in the directory's name, \
                 and blanks only with Nix 2.19 or later"
                .into(),
            Self::NoRevision => "fetch the commit first (git fetch), or check the name given with --rev".into(),
            Self::NoBuildUsers => "root needs build users: create the group nixbld, or set `build-users-group =` in nix.conf".into(),
            Self::NoStore => "start the Nix daemon (systemctl start nix-daemon), or run as root".into(),
            Self::NoSpace => "free some room, for example with nix-collect-garbage, then try again".into(),
            Self::Offline => "check the network, then try again".into(),
            Self::NoDaemon => "put nix-daemon on the PATH that ssh sessions have there; \
                 on NixOS it is, elsewhere link it into /usr/local/bin".into(),
            Self::Chatty => "let its login shell print nothing unless it is interactive: the text comes from a file \
                 like .bashrc there".into(),
            Self::Unsigned => "its Nix daemon does not know of the key or the trusted user: after a change of nix.conf \
                 it must be restarted there (systemctl restart nix-daemon)"
                .into(),
            Self::Killed => "perhaps memory ran out: try again with fewer evaluations at a time".into(),
        }
    }

    fn aftermath(&self) -> Aftermath {
        match self {
            Self::NoFlake | Self::NoAttribute | Self::BadUrl | Self::NoRevision => Aftermath::Usage,
            _ => Aftermath::NotBuilt,
        }
    }
}

impl Message {
    /// All of it, as text of several lines.
    pub fn text(&self) -> String {
        let mut text = self.headline.clone();
        for line in &self.details {
            text.push('\n');
            text.push_str(line);
        }
        text
    }

    /// As a failure of `doing`, such as `cannot evaluate the flake`.
    pub fn failure(&self, doing: &str) -> Failure {
        let aftermath = self.known.as_ref().map_or(Aftermath::NotBuilt, Known::aftermath);
        let failure = Failure::new(aftermath, format!("{doing}: {}", self.headline));
        let failure = failure.output(&self.details.join("\n"));
        match &self.known {
            Some(known) => failure.help(known.help()),
            None => failure,
        }
    }
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
