//! Versions of Nix: which are too old for deployvm, and which one first had what a
//! flake asks for. A version that nobody here knows yet is taken as it is.

use crate::model::argv::Argv;

/// What to say of a version that is too old.
pub const NEEDED: &str = "deployvm needs Nix 2.8 or later";

const OLDEST: (u32, u32) = (2, 8);

/// `nix --version`, which opens no store and needs no feature.
pub fn ask() -> Argv {
    Argv::new("nix").arg("--version")
}

/// `nix (Nix) 2.26.3` -> `2.26.3`; the whole line where it looks otherwise.
pub fn parse(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    line.rsplit_once(") ").map_or(line, |(_, version)| version).to_owned()
}

/// Whether this version, as [`parse`] returns it, is certainly too old.
pub fn too_old(version: &str) -> bool {
    // `2.4pre20210601_5985b8b` is a version, too.
    let digits = |word: &str| word.chars().take_while(char::is_ascii_digit).collect::<String>();
    let mut numbers = version.split('.').map(|word| digits(word).parse::<u32>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
        _ => false,
    }
}

/// Functions that came after the oldest version, as the release notes have it.
const FUNCTIONS: [(&str, &str); 8] = [
    ("break", "2.9"),
    ("traceVerbose", "2.10"),
    ("readFileType", "2.14"),
    ("flakeRefToString", "2.18"),
    ("parseFlakeRef", "2.18"),
    ("convertHash", "2.19"),
    ("addDrvOutputDependencies", "2.20"),
    ("warn", "2.23"),
];

/// What a flake uses that this Nix does not have, and the first version that has it.
/// `headline` is Nix's complaint, `details` what follows it.
pub fn newer(headline: &str, details: &[String]) -> Option<(String, String)> {
    // nixpkgs looks itself, and aborts.
    if let Some((_, rest)) = headline.split_once("This version of Nixpkgs requires Nix >= ") {
        let version: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        return Some(("this nixpkgs".to_owned(), version.trim_end_matches('.').to_owned()));
    }
    let quoted = headline.split('\'').nth(1)?;
    if headline.starts_with("unexpected flake input attribute") {
        let known = quoted == "submodules" || quoted == "lfs";
        return known.then(|| (format!("`inputs.self.{quoted}`"), "2.27".to_owned()));
    }
    if !headline.starts_with("attribute '") || !headline.contains("' missing") {
        return None;
    }
    let (name, version) = FUNCTIONS.into_iter().find(|(name, _)| *name == quoted)?;
    let name = format!("builtins.{name}");
    // Some other set may lack an attribute of that name: the excerpt tells.
    details.iter().any(|line| line.contains(&name)).then(|| (format!("`{name}`"), version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_versions() {
        assert_eq!(parse("nix (Nix) 2.8.0\n"), "2.8.0");
        assert_eq!(parse("nix (Nix) 2.26.3\n"), "2.26.3");
        assert_eq!(parse("nix (Nix) 2.34.8\n"), "2.34.8");
        assert_eq!(parse("nix (Lix, like Nix) 2.91.1\n"), "2.91.1");
        assert_eq!(parse("nix (Determinate Nix 3.11.2) 2.31.2\n"), "2.31.2");
        assert_eq!(parse(""), "");
    }

    #[test]
    fn only_what_is_older_is_refused() {
        for old in ["2.3.16", "2.7.0", "1.11.16", "2.4pre20210601_5985b8b"] {
            assert!(too_old(old), "{old}");
        }
        for fine in ["2.8.0", "2.34.8", "2.91.1", "3.0pre1", "10.1", "", "unknown", "2"] {
            assert!(!too_old(fine), "{fine}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(nix \\(Nix\\) |[0-9]{0,12}|\\.|pre|(?s:.)){0,8}") {
            too_old(&parse(&text));
            let _ = newer(&text, &[]);
        }
    }
}
