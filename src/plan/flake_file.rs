//! What a new VM's `flake` file says, so that `microvm -u` and `-l` work on it. Everybody
//! on the hypervisor may read it, so no password or token of a URL gets there.

use crate::error::without_secrets;

/// A git remote as the flake reference of the same repository, if a hypervisor could
/// fetch it: not for paths on this machine, nor for anything that cannot be told.
pub fn of_remote(remote: &str) -> Option<String> {
    let remote = without_secrets(remote);
    let remote = remote.as_str();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._~+@=,:-".contains(&b);
    if remote.is_empty() || !remote.bytes().all(plain) {
        return None;
    }
    match remote.split_once("://") {
        Some(("https" | "http" | "ssh" | "git", _)) => Some(format!("git+{remote}")),
        Some(("git+ssh" | "ssh+git", rest)) => Some(format!("git+ssh://{rest}")),
        Some(_) => None,
        None => {
            // The short form of ssh, [USER@]HOST:PATH; a path without / is below the home.
            let (host, path) = remote.split_once(':')?;
            if host.is_empty() || host.contains('/') || path.is_empty() {
                return None;
            }
            let path = if path.starts_with('/') { path.to_owned() } else { format!("/~/{path}") };
            // Forges have no homes: there the path is from the root.
            let path = if host.starts_with("git@") { path.replacen("/~/", "/", 1) } else { path };
            Some(format!("git+ssh://{host}{path}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn remotes_become_references() {
        for (remote, reference) in [
            ("https://example.org/me/infra.git", Some("git+https://example.org/me/infra.git")),
            ("ssh://git@example.org:22/infra", Some("git+ssh://git@example.org:22/infra")),
            ("git@example.org:me/infra.git", Some("git+ssh://git@example.org/me/infra.git")),
            ("https://me:token@example.org/infra.git", Some("git+https://example.org/infra.git")),
            ("https://token@example.org/infra.git", Some("git+https://example.org/infra.git")),
            ("root@hv:infra.git", Some("git+ssh://root@hv/~/infra.git")),
            ("root@hv:/srv/infra", Some("git+ssh://root@hv/srv/infra")),
            ("/srv/git/infra", None),
            ("../infra", None),
            ("file:///srv/infra", None),
            ("https://example.org/a b", None),
        ] {
            assert_eq!(of_remote(remote).as_deref(), reference, "{remote}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s:.){0,40}") {
            let _ = of_remote(&text);
        }
    }
}
