//! Which store paths of two sides belong together: those of one name, or else those of
//! one package.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::derivation::Derivation;
use crate::model::store_path::StorePath;
use crate::plan::version::PackageName;

/// What belongs together, and what came or went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// What has taken the place of what.
    pub pairs: Vec<(StorePath, StorePath)>,
    /// What is not there any more.
    pub removed: Vec<StorePath>,
    /// What is new.
    pub added: Vec<StorePath>,
}

/// A name with its version, that of a derivation without its ending.
pub fn name(path: &StorePath) -> &str {
    path.name().strip_suffix(".drv").unwrap_or_else(|| path.name())
}

/// The inputs that only the one has, and those that only the other has.
pub fn differing<'a>(
    before: &'a Derivation,
    after: &'a Derivation,
) -> (Vec<&'a StorePath>, Vec<&'a StorePath>) {
    let old = before.inputs.keys().filter(|path| !after.inputs.contains_key(*path));
    let new = after.inputs.keys().filter(|path| !before.inputs.contains_key(*path));
    (old.collect(), new.collect())
}

/// Finds for each its counterpart. Several of one name are taken in the order in which
/// they come.
pub fn matched(old: &[&StorePath], new: &[&StorePath]) -> Matched {
    let mut found = Matched::default();
    let (old, new) = join(old, new, |path| name(path).to_owned(), &mut found.pairs);
    let (old, new) = join(&old, &new, |path| PackageName::of(name(path)).package, &mut found.pairs);
    let own = |paths: Vec<&StorePath>| paths.into_iter().cloned().collect();
    (found.removed, found.added) = (own(old), own(new));
    found
}

/// Joins those of one key; returns what is left on both sides.
fn join<'a>(
    old: &[&'a StorePath],
    new: &[&'a StorePath],
    key: impl Fn(&StorePath) -> String,
    pairs: &mut Vec<(StorePath, StorePath)>,
) -> (Vec<&'a StorePath>, Vec<&'a StorePath>) {
    let mut waiting: BTreeMap<String, Vec<&StorePath>> = BTreeMap::new();
    for path in old.iter().rev() {
        waiting.entry(key(path)).or_default().push(path);
    }
    let mut alone = Vec::new();
    for path in new {
        match waiting.get_mut(&key(path)).and_then(Vec::pop) {
            Some(before) => pairs.push((before.clone(), (*path).clone())),
            None => alone.push(*path),
        }
    }
    let left: BTreeSet<&StorePath> = waiting.into_values().flatten().collect();
    let old = old.iter().copied().filter(|path| left.contains(path)).collect();
    (old, alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name_and_then_by_package() {
        let path = |hash: &str, name: &str| -> StorePath {
            format!("/nix/store/{}-{name}.drv", hash.repeat(32)).parse().unwrap()
        };
        let old = [path("a", "libfoo-2.1"), path("b", "etc"), path("c", "jq-1.7"), path("d", "etc")];
        let new = [path("e", "etc"), path("f", "libfoo-2.2"), path("g", "curl-8")];
        let found = matched(&old.iter().collect::<Vec<_>>(), &new.iter().collect::<Vec<_>>());
        let names: Vec<_> = found.pairs.iter().map(|(a, b)| (a.hash(), name(a), name(b))).collect();
        let hash = |c: &str| c.repeat(32);
        assert_eq!(
            names,
            [(hash("b").as_str(), "etc", "etc"), (hash("a").as_str(), "libfoo-2.1", "libfoo-2.2")]
        );
        assert_eq!(found.removed.iter().map(name).collect::<Vec<_>>(), ["jq-1.7", "etc"]);
        assert_eq!(found.added.iter().map(name).collect::<Vec<_>>(), ["curl-8"]);
    }
}
