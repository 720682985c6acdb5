//! Takes apart what `observe.sh` answers to a login that is not root.

use crate::model::login::{Elevate, Login, Takes};

/// Reads the fields, key and value in turn; `None` for root.
pub fn parse(fields: &[String]) -> Option<Login> {
    let pairs: Vec<(&str, &str)> =
        fields.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let get = |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| v.trim());
    let uid = get("uid").filter(|uid| *uid != "0")?;
    let name = get("user").unwrap_or_default();
    let there = |tool: &str| pairs.contains(&("tool", tool));
    // run0 comes with systemd, whether or not anybody set it up.
    let known = [("sudo", Elevate::Sudo), ("doas", Elevate::Doas), ("run0", Elevate::Run0)];
    Some(Login {
        // sudo takes a number after a hash for a user with an odd name.
        user: if is_plain(name) { name.to_owned() } else { format!("#{uid}") },
        host: get("host").unwrap_or_default().to_owned(),
        tools: known.into_iter().filter(|(name, _)| there(name)).map(|(_, tool)| tool).collect(),
        entry: get("entry") == Some("yes"),
        xargs: get("xargs").filter(|path| is_path(path)).unwrap_or("/usr/bin/xargs").to_owned(),
        nixos: get("nixos") == Some("yes"),
        takes: takes(
            name,
            get("groups").unwrap_or_default(),
            get("trusted").unwrap_or_default(),
            get("settings").unwrap_or_default(),
        ),
    })
}

/// The daemon's own word, which Nix 2.8 does not give; otherwise what the settings say.
fn takes(user: &str, groups: &str, trusted: &str, settings: &str) -> Takes {
    let setting = |name: &str| {
        let line = |line: &'_ str| line.strip_prefix(name)?.trim_start().strip_prefix('=').map(str::to_owned);
        settings.lines().find_map(line).unwrap_or_default()
    };
    let in_settings = setting("trusted-users").split_whitespace().any(|word| match word.strip_prefix('@') {
        Some(group) => groups.split_whitespace().any(|g| g == group),
        None => word == user || word == "*",
    });
    let is_trusted = match trusted {
        "1" | "true" => true,
        "" => in_settings,
        _ => false,
    };
    if is_trusted || setting("require-sigs").trim() == "false" {
        return Takes::Everything;
    }
    Takes::Signed(setting("trusted-public-keys").split_whitespace().map(str::to_owned).collect())
}

fn is_plain(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !name.is_empty() && name.len() <= 64 && !name.starts_with(['-', '.']) && name.bytes().all(allowed)
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.+".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn login(pairs: &[(&str, &str)]) -> Option<Login> {
        parse(&pairs.iter().flat_map(|(k, v)| [(*k).to_owned(), (*v).to_owned()]).collect::<Vec<_>>())
    }

    const SETTINGS: &str = "require-sigs = true\ntrusted-public-keys = cache:AAA= other:BBB=\n\
                            trusted-users = root @wheel";

    #[test]
    fn root_is_nobody_to_elevate() {
        assert_eq!(login(&[("host", "hv"), ("uid", "0")]), None);
        assert_eq!(login(&[]), None);
    }

    #[test]
    fn a_login_as_it_is_found() {
        let found = login(&[
            ("host", "hv"),
            ("uid", "1000"),
            ("user", "deploy"),
            ("groups", "deploy"),
            ("tool", "run0"),
            ("tool", "sudo"),
            ("xargs", "/run/current-system/sw/bin/xargs"),
            ("settings", SETTINGS),
        ]);
        let found = found.unwrap();
        assert_eq!((found.user.as_str(), found.entry, found.nixos), ("deploy", false, false));
        assert_eq!(found.tools, [Elevate::Sudo, Elevate::Run0]);
        assert_eq!(found.xargs, "/run/current-system/sw/bin/xargs");
        assert_eq!(found.takes, Takes::Signed(vec!["cache:AAA=".into(), "other:BBB=".into()]));
    }

    #[test]
    fn trust_is_the_daemons_word_or_else_the_settings() {
        let takes = |groups: &str, trusted: &str, settings: &str| {
            let pairs = [
                ("uid", "7"),
                ("user", "deploy"),
                ("groups", groups),
                ("trusted", trusted),
                ("settings", settings),
            ];
            login(&pairs).unwrap().takes == Takes::Everything
        };
        assert!(takes("deploy wheel", "", SETTINGS));
        assert!(!takes("deploy", "", SETTINGS));
        // It has not read its settings again yet.
        assert!(!takes("deploy wheel", "0", SETTINGS));
        assert!(takes("deploy", "1", SETTINGS));
        assert!(takes("deploy", "true", ""));
        assert!(takes("deploy", "", "trusted-users = root deploy"));
        assert!(takes("deploy", "", "trusted-users = *"));
        assert!(!takes("deploy", "", "trusted-users = deployer"));
        assert!(takes("deploy", "", "require-sigs = false"));
        assert!(!takes("deploy", "", ""));
    }

    #[test]
    fn what_stands_in_a_rule_is_plain() {
        let odd = login(&[("uid", "7"), ("user", "a, b ALL"), ("xargs", "/a b/xargs")]).unwrap();
        assert_eq!((odd.user.as_str(), odd.xargs.as_str()), ("#7", "/usr/bin/xargs"));
    }

    proptest! {
        #[test]
        fn takes_anything(fields in proptest::collection::vec("(?s:.){0,30}", 0..12), odd in "(?s:.){0,30}") {
            let _ = parse(&fields);
            let found = login(&[("uid", "7"), ("user", &odd), ("xargs", &odd)]).unwrap();
            prop_assert!(!found.user.contains([' ', ',', '=', '\n', ':']));
        }
    }
}
