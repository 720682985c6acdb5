//! Which small files of two closures are compared, and how they differ. Hashes of store
//! paths are taken out of both texts first: a file that only names what was rebuilt is
//! counted, and not shown.

use std::collections::{BTreeMap, BTreeSet};

use super::cover::without_hashes;
use super::pairs;
use crate::model::closure::Closure;
use crate::model::store_path::StorePath;
use crate::model::text::{FoundText, TextChange, Texts};

/// Most bytes of a file that is looked into.
pub const MOST_FILE: u64 = 64 << 10;
/// Most bytes of a store path that is looked into: what a system is configured by is far
/// smaller, and what is larger are programs.
const MOST_PACKAGE: u64 = 512 << 10;
/// Most bytes of all that is looked into on one side, the smallest first.
const MOST_BYTES: u64 = 4 << 20;
/// Most store paths on one side, as far as one question can carry them.
const MOST_PACKAGES: usize = 600;
/// Most files that are told.
const MOST_CHANGES: usize = 100;

/// What is compared with what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Store paths that belong together.
    pub pairs: Vec<(StorePath, StorePath)>,
    left_out: Vec<String>,
}

/// Chooses the store paths of which the other closure has one of the same name, or of the
/// same package, but not the same.
pub fn choose(before: &Closure, after: &Closure) -> Comparison {
    let old: Vec<&StorePath> = before.paths.keys().filter(|p| !after.paths.contains_key(*p)).collect();
    let new: Vec<&StorePath> = after.paths.keys().filter(|p| !before.paths.contains_key(*p)).collect();
    let several: BTreeSet<&str> = repeated(&old).chain(repeated(&new)).collect();
    let one = |paths: Vec<&'_ StorePath>| -> Vec<StorePath> {
        paths.into_iter().filter(|path| !several.contains(path.name())).cloned().collect()
    };
    let (old, new) = (one(old), one(new));
    let all = pairs::matched(&old.iter().collect::<Vec<_>>(), &new.iter().collect::<Vec<_>>()).pairs;
    let size = |(old, new): &(StorePath, StorePath)| {
        let bytes = |closure: &Closure, path| closure.paths.get(path).copied().unwrap_or_default();
        bytes(before, old).max(bytes(after, new))
    };
    let mut small: Vec<(u64, (StorePath, StorePath))> =
        all.into_iter().map(|pair| (size(&pair), pair)).collect();
    small.sort();
    let (count, mut room) = (small.len(), MOST_BYTES);
    let mut pairs = Vec::new();
    for (bytes, pair) in small.into_iter().take(MOST_PACKAGES) {
        if bytes > MOST_PACKAGE.min(room) {
            break;
        }
        room -= bytes;
        pairs.push(pair);
    }
    let mut left_out = Vec::new();
    if pairs.len() < count {
        left_out.push(format!("{} larger packages", count - pairs.len()));
    }
    left_out.extend(several.iter().map(|name| format!("{name}, of which there are several")));
    Comparison { pairs, left_out }
}

/// Names that stand for more than one path.
fn repeated<'a>(paths: &[&'a StorePath]) -> impl Iterator<Item = &'a str> + use<'a> {
    let mut counts: BTreeMap<&'a str, usize> = BTreeMap::new();
    for path in paths {
        *counts.entry(path.name()).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name)
}

/// Compares what was found on both sides.
pub fn compare(comparison: &Comparison, found: &[FoundText]) -> Texts {
    let mut files: BTreeMap<&StorePath, BTreeMap<&str, &FoundText>> = BTreeMap::new();
    for each in found {
        files.entry(&each.package).or_default().insert(&each.file, each);
    }
    let mut texts = Texts { left_out: comparison.left_out.clone(), ..Texts::default() };
    let none = BTreeMap::new();
    for (old, new) in &comparison.pairs {
        let (before, after) = (files.get(old).unwrap_or(&none), files.get(new).unwrap_or(&none));
        let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        for file in names {
            let sides = (before.get(file).copied(), after.get(file).copied());
            match difference(sides.0, sides.1) {
                Differs::No => {}
                Differs::InHashes => texts.rehashed += 1,
                Differs::InText(before, after) => texts.changes.push(TextChange {
                    package: new.name().to_owned(),
                    file: file.to_owned(),
                    before,
                    after,
                }),
            }
        }
    }
    texts.changes.sort_by(|a, b| (&a.package, &a.file).cmp(&(&b.package, &b.file)));
    if let Some(more) = texts.changes.len().checked_sub(MOST_CHANGES).filter(|more| *more > 0) {
        texts.changes.truncate(MOST_CHANGES);
        texts.left_out.push(format!("{more} more files that differ"));
    }
    texts
}

enum Differs {
    No,
    InHashes,
    InText(Option<String>, Option<String>),
}

fn difference(before: Option<&FoundText>, after: Option<&FoundText>) -> Differs {
    if [before, after].into_iter().flatten().any(is_binary) {
        return Differs::No;
    }
    let (old, new) = (before.map(shown), after.map(shown));
    if old != new {
        return Differs::InText(old, new);
    }
    let same = before.map(|each| &each.text) == after.map(|each| &each.text);
    if same { Differs::No } else { Differs::InHashes }
}

/// What is no text was not decoded whole.
fn is_binary(found: &FoundText) -> bool {
    found.text.contains(char::REPLACEMENT_CHARACTER)
}

fn shown(found: &FoundText) -> String {
    let text = without_hashes(&found.text);
    if found.link { format!("link to {text}\n") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(hash: &str, name: &str) -> StorePath {
        format!("/nix/store/{}-{name}", hash.repeat(32)).parse().unwrap()
    }

    fn closure(paths: &[(&str, &str, u64)]) -> Closure {
        Closure { paths: paths.iter().map(|(hash, name, bytes)| (path(hash, name), *bytes)).collect() }
    }

    #[test]
    fn small_packages_that_differ_are_compared() {
        let before = closure(&[
            ("a", "etc", 9),
            ("b", "app-1", 9),
            ("c", "same", 9),
            ("d", "linux-6.6", 9 << 20),
            ("e", "lib", 9),
            ("f", "lib", 9),
            ("g", "gone", 9),
        ]);
        let after = closure(&[
            ("h", "etc", 8),
            ("i", "app-2", 10),
            ("c", "same", 9),
            ("j", "linux-6.7", 9),
            ("k", "lib", 9),
            ("l", "new", 9),
        ]);
        let comparison = choose(&before, &after);
        assert_eq!(
            comparison.pairs,
            [(path("a", "etc"), path("h", "etc")), (path("b", "app-1"), path("i", "app-2"))]
        );
        assert_eq!(comparison.left_out, ["1 larger packages", "lib, of which there are several"]);
    }

    #[test]
    fn a_huge_closure_is_cut() {
        let many = |hash: &str| {
            let paths = (0..2000).map(|i| (path(hash, &format!("p{i}")), 100_u64));
            Closure { paths: paths.collect() }
        };
        assert_eq!(choose(&many("a"), &many("b")).pairs.len(), MOST_PACKAGES);
        let large = |hash: &str| Closure {
            paths: (0..20).map(|i| (path(hash, &format!("p{i}")), MOST_PACKAGE)).collect(),
        };
        assert_eq!(choose(&large("a"), &large("b")).pairs.len() as u64, MOST_BYTES / MOST_PACKAGE);
    }

    #[test]
    fn hashes_alone_are_no_difference() {
        let found = |hash: &str, file: &str, text: &str| FoundText {
            package: path(hash, "etc"),
            file: file.to_owned(),
            text: text.to_owned(),
            link: file.ends_with("link"),
        };
        let comparison =
            Comparison { pairs: vec![(path("a", "etc"), path("b", "etc"))], left_out: Vec::new() };
        let texts = compare(
            &comparison,
            &[
                found("a", "/unit", &format!("Exec={}/bin/x\n", path("c", "app"))),
                found("b", "/unit", &format!("Exec={}/bin/x\n", path("d", "app"))),
                found("a", "/motd", "hello\n"),
                found("b", "/motd", "hallo\n"),
                found("a", "/same", "x"),
                found("b", "/same", "x"),
                found("a", "/binary", "\u{fffd}1"),
                found("b", "/binary", "\u{fffd}2"),
                found("b", "/a-link", path("c", "app").as_str()),
            ],
        );
        assert_eq!(texts.rehashed, 1);
        let told: Vec<_> = texts.changes.iter().map(|c| (c.file.as_str(), &c.before, &c.after)).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                ("/a-link", &None, &some("link to /nix/store/…-app\n")),
                ("/motd", &some("hello\n"), &some("hallo\n"))
            ]
        );
    }
}
