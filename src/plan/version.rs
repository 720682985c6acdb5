//! Takes the name of a store path apart: `openssl-3.0.20-bin` is version `3.0.20`
//! of the package `openssl`. Store paths do not say where a version begins, so
//! these are rules that fit what nixpkgs does; a wrong guess costs only a less
//! pretty line in a diff. Also compares versions, for sorting.

use std::cmp::Ordering;

/// A store path's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName {
    /// The package, without version and output; never empty for a name that is not.
    pub package: String,
    /// The version, `""` when the name has none.
    pub version: String,
}

/// Outputs that nixpkgs' derivations have; a package with its outputs is one package.
const OUTPUTS: &[&str] = &[
    "bin", "data", "debug", "dev", "devdoc", "dist", "doc", "getent", "info", "lib", "libgcc", "man",
    "modules", "out", "py", "sbin", "static", "terminfo", "tools",
];

/// Words that are part of a version when they follow one.
const VERSION_WORDS: &[&str] =
    &["alpha", "beta", "git", "p", "patch", "post", "pre", "r", "rc", "rev", "snapshot", "unstable"];

/// Names of files that a configuration consists of: the digits in them are no versions.
const PLAIN_FILES: &[&str] = &[
    "automount",
    "cfg",
    "conf",
    "diff",
    "ini",
    "json",
    "link",
    "mount",
    "netdev",
    "network",
    "nix",
    "path",
    "patch",
    "pem",
    "rules",
    "service",
    "sh",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
    "toml",
    "txt",
    "xml",
    "yaml",
    "yml",
];

/// Archives: what stands before is read as any other name.
const ARCHIVES: &[&str] =
    &[".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".tgz", ".zip", ".gem", ".crate", ".whl"];

impl PackageName {
    /// Takes the name of a store path (what follows hash and dash) apart.
    pub fn of(name: &str) -> Self {
        if is_plain(name) {
            return Self::without_version(name);
        }
        let name = ARCHIVES.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let tokens: Vec<&str> = name.split('-').collect();
        let Some(start) = version_start(name, &tokens) else { return Self::without_version(name) };
        let length = tokens.iter().skip(start + 1).take_while(|t| continues_version(t)).count();
        let (head, rest) = tokens.split_at(start);
        let (version, rest) = rest.split_at(length + 1);
        let kept = rest.len() - rest.iter().rev().take_while(|t| OUTPUTS.contains(t)).count();
        // `foo-unstable-2024-01-02`: the word belongs to the date.
        let (head, marker) = match head {
            [first @ .., "unstable"] if !first.is_empty() => (first, "unstable-"),
            _ => (head, ""),
        };
        let package = [head, &rest[..kept]].concat().join("-");
        Self { package, version: format!("{marker}{}", version.join("-")) }
    }

    fn without_version(name: &str) -> Self {
        Self { package: name.to_owned(), version: String::new() }
    }
}

/// Units, configuration files and runners have names, but no versions.
fn is_plain(name: &str) -> bool {
    let file = name.rsplit_once('.').is_some_and(|(_, end)| PLAIN_FILES.contains(&end));
    file || name.starts_with("unit-") || name.starts_with("microvm-")
}

/// The token that begins the version. Never the first: a name cannot be empty.
fn version_start(name: &str, tokens: &[&str]) -> Option<usize> {
    let candidates = || tokens.iter().enumerate().skip(1).filter(|(_, t)| begins_with_digit(t));
    // A system carries its host's name, which may have digits of its own.
    if name.starts_with("nixos-system-") {
        return candidates().next_back().map(|(at, _)| at);
    }
    let looks_good = |t: &str| t.contains('.') || !has_unit(t);
    candidates().find(|(_, t)| looks_good(t)).or_else(|| candidates().next()).map(|(at, _)| at)
}

fn begins_with_digit(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_digit())
}

/// `100dpi`, `32bit`: digits with a word behind, which is rarely a version.
fn has_unit(token: &str) -> bool {
    let word = token.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_word = word.len() >= 2 && word.bytes().all(|b| b.is_ascii_alphabetic());
    is_word && !VERSION_WORDS.contains(&word) && !is_revision(token)
}

/// What may follow in a version: `2.40-66`, `1.0-rc1`, `0-unstable-2024-01-02`.
fn continues_version(token: &str) -> bool {
    let word = token.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    begins_with_digit(token) || VERSION_WORDS.contains(&word) || is_revision(token)
}

/// A git revision, whole or shortened.
fn is_revision(token: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (7..=40).contains(&token.len()) && token.bytes().all(hex) && token.bytes().any(|b| b.is_ascii_digit())
}

/// Older before newer, as far as that can be told: runs of digits compare as
/// numbers, a pre-release word comes before nothing at all. A total order: only
/// equal texts are equal.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (mut a, mut b) = (parts(left), parts(right));
    loop {
        match (Rank::of(a.next()), Rank::of(b.next())) {
            (Rank::End, Rank::End) => return left.cmp(right),
            (x, y) if x != y => return x.cmp(&y),
            _ => {}
        }
    }
}

/// What a part of a version weighs against the part at the same place of another.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    PreRelease(&'a str),
    End,
    Word(&'a str),
    /// Length and digits without leading zeros: the longer number is the larger one.
    Number(usize, &'a str),
}

impl<'a> Rank<'a> {
    fn of(part: Option<&'a str>) -> Self {
        match part {
            None => Self::End,
            Some(word @ ("alpha" | "beta" | "pre" | "rc")) => Self::PreRelease(word),
            Some(part) if begins_with_digit(part) => {
                let digits = part.trim_start_matches('0');
                Self::Number(digits.len(), digits)
            }
            Some(word) => Self::Word(word),
        }
    }
}

/// Runs of digits and runs of letters; everything else only separates.
fn parts(version: &str) -> impl Iterator<Item = &str> {
    let mut rest = version;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let digit = begins_with_digit(rest);
        let same = |c: char| c.is_ascii_alphanumeric() && c.is_ascii_digit() == digit;
        let end = rest.find(|c: char| !same(c)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_names_of_real_closures_apart() {
        for (name, package, version) in [
            ("openssl-3.0.20-bin", "openssl", "3.0.20"),
            ("openssl-3.0.20", "openssl", "3.0.20"),
            ("linux-6.6.1-modules", "linux", "6.6.1"),
            ("linux-6.6.1-modules-shrunk", "linux-modules-shrunk", "6.6.1"),
            ("initrd-linux-6.6.1", "initrd-linux", "6.6.1"),
            ("nixos-system-vm1-25.11.20251101.abc", "nixos-system-vm1", "25.11.20251101.abc"),
            ("nixos-system-web-1-25.11pre-git", "nixos-system-web-1", "25.11pre-git"),
            ("system-units", "system-units", ""),
            ("unit-foo.service", "unit-foo.service", ""),
            ("unit-dbus-1.service", "unit-dbus-1.service", ""),
            ("10-eth0.network", "10-eth0.network", ""),
            ("microvm-qemu-web-1", "microvm-qemu-web-1", ""),
            ("python3.11-foo-1.2", "python3.11-foo", "1.2"),
            ("python3-3.11.9-env", "python3-env", "3.11.9"),
            ("glibc-2.40-66", "glibc", "2.40-66"),
            ("glibc-2.40-66-getent", "glibc", "2.40-66"),
            ("source", "source", ""),
            ("etc", "etc", ""),
            ("gcc-13.3.0-libgcc", "gcc", "13.3.0"),
            ("systemd-256.10-man", "systemd", "256.10"),
            ("systemd-minimal-256.10", "systemd-minimal", "256.10"),
            ("font-adobe-100dpi-1.0.4", "font-adobe-100dpi", "1.0.4"),
            ("libjpeg-9e", "libjpeg", "9e"),
            ("ncurses-6.4.20221231-dev", "ncurses", "6.4.20221231"),
            ("foo-0-unstable-2024-01-02", "foo", "0-unstable-2024-01-02"),
            ("foo-unstable-2024-01-02", "foo", "unstable-2024-01-02"),
            ("foo-1.0-rc1", "foo", "1.0-rc1"),
            ("bar-20240101-0a1b2c3d", "bar", "20240101-0a1b2c3d"),
            ("hello-2.12.1.tar.gz", "hello", "2.12.1"),
            ("fix-CVE-2024-1234.patch", "fix-CVE-2024-1234.patch", ""),
            ("7zip-23.01", "7zip", "23.01"),
            ("6.6.1", "6.6.1", ""),
            ("389-ds-base-2.4.5", "389-ds-base", "2.4.5"),
            ("X-Restart-Triggers-foo", "X-Restart-Triggers-foo", ""),
        ] {
            let expected = PackageName { package: package.into(), version: version.into() };
            assert_eq!(PackageName::of(name), expected, "{name}");
        }
    }

    #[test]
    fn versions_compare_as_people_do() {
        let sorted = ["", "1.0-rc1", "1.0", "1.0.2u", "1.2", "1.10", "2.40-9", "2.40-66", "20240101"];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_has_a_package(name in "(?s:.){1,60}|[a-c0-9.-]{1,30}") {
            let apart = PackageName::of(&name);
            let only_archive = ARCHIVES.contains(&name.as_str());
            prop_assert!(!apart.package.is_empty() || name.starts_with('-') || only_archive);
        }

        #[test]
        fn comparing_is_mirrored(a in "[a-c0-9.-]{0,12}", b in "[a-c0-9.-]{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b) == Ordering::Equal, a == b);
        }

        #[test]
        fn comparing_is_transitive(mut v in proptest::collection::vec("(rc|[a0-2.-]){0,5}", 3)) {
            v.sort_by(|a, b| compare(a, b));
            prop_assert!(compare(&v[0], &v[2]) != Ordering::Greater);
        }
    }
}
