//! This machine, and the way from it: Nix, the SSH agent, and what the login finds there.

use super::{Findings, Hypervisor};
use crate::model::exam::LaptopExam;
use crate::model::finding::{Mend, Place, Trap};
use crate::model::login::Takes;

/// This machine's own Nix and agent.
pub(super) fn laptop(exam: &LaptopExam, list: &mut Findings<'_>) {
    const GET: &str = "install Nix, as https://nixos.org/download says";
    match &exam.nix {
        None => list.error(
            Trap::NixMissingHere,
            Place::Laptop,
            "there is no nix on this machine's PATH",
            "nix --version could not be started",
            GET,
        ),
        Some(version) if exam.nix_too_old => list.error(
            Trap::NixOldHere,
            Place::Laptop,
            "this machine's Nix is too old: deployvm needs 2.8 or later",
            version,
            GET,
        ),
        Some(_) => {
            if let Some(why) = &exam.store {
                let what = "Nix cannot open this machine's store";
                list.error(
                    Trap::NixStoreHere,
                    Place::Laptop,
                    what,
                    why,
                    Mend::Type("sudo systemctl start nix-daemon".to_owned()),
                );
            }
        }
    }
    if let Some(socket) = &exam.dead_agent {
        list.warning(
            Trap::SshAgent,
            Place::Laptop,
            "SSH_AUTH_SOCK names an agent that does not answer, so keys that only it has are not offered",
            socket,
            Mend::Type(r#"eval "$(ssh-agent)" && ssh-add"#.to_owned()),
        );
    }
}

/// What the login finds on the hypervisor.
pub(super) fn hypervisor(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let (login, place) = (there.login, Place::Hypervisor);
    let local = list.typed.is_local();
    if !login.noise.is_empty() && !local {
        list.error(
            Trap::LoginTalks,
            place.clone(),
            "the login shell prints something before every command, which breaks `nix copy`",
            &login.noise,
            "let the shell's start file print only where somebody reads it: `[ -t 1 ] || return` before it",
        );
    }
    if !login.nix && there.observed.host.nix.is_some() && !local {
        list.error(
            Trap::NixPath,
            place.clone(),
            "nix-daemon and nix-store are not on the PATH of commands over ssh, which `nix copy` needs",
            format!("PATH={}", login.path),
            "put the directory of nix-daemon on that PATH: in /etc/environment, or by SetEnv in sshd_config",
        );
    }
    let socket = there.exam.daemon_socket.as_deref();
    if socket.is_some_and(|state| state != "active") || socket.is_none() && !login.root && !login.socket {
        list.error(
            Trap::NixDaemon,
            place.clone(),
            "Nix's daemon has no socket: whoever is not root cannot use the store",
            format!("nix-daemon.socket: {}", socket.unwrap_or("not there")),
            list.typed.once("systemctl start nix-daemon.socket"),
        );
    }
    if let Some(Takes::Signed(keys)) = there.who.map(|who| &who.takes) {
        list.note(
            Trap::Untrusted,
            place,
            "Nix there takes from this login only what a trusted key has signed",
            format!("trusted-public-keys = {}", keys.join(" ")),
            list.typed.deployvm("push --sign-key FILE"),
        );
    }
}
