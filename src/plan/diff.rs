//! What differs between two closures, package by package, and how much of one has
//! to be sent. Pure: sizes and paths come in, a [`ClosureDiff`] comes out. `nix
//! store diff-closures` is not used: it hides rebuilds and changes below 8 KiB, so
//! a change of configuration would print nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::version::{self, PackageName};
use crate::model::closure::{Closure, ClosureDiff, PackageChange};
use crate::model::store_path::StorePath;

/// One package in one closure.
#[derive(Debug, Default, PartialEq, Eq)]
struct Side<'a> {
    versions: BTreeSet<String>,
    paths: BTreeSet<(&'a StorePath, u64)>,
}

impl Side<'_> {
    fn bytes(&self) -> i128 {
        self.paths.iter().map(|(_, bytes)| i128::from(*bytes)).sum()
    }

    fn sorted_versions(&self) -> Vec<String> {
        let mut versions: Vec<String> = self.versions.iter().cloned().collect();
        versions.sort_by(|a, b| version::compare(a, b));
        versions
    }
}

/// Compares two closures. Every list is sorted by name; packages with the same
/// paths on both sides are in none of them, so the `bytes` of all changes add up
/// to the difference of the two sizes. Equal closures give no changes.
pub fn closure_diff(before: &Closure, after: &Closure) -> ClosureDiff {
    let (mut old, new) = (by_package(before), by_package(after));
    let mut diff =
        ClosureDiff { bytes_before: size(before), bytes_after: size(after), ..ClosureDiff::default() };
    for (name, new) in new {
        match old.remove(&name) {
            None => diff.added.push(change(name, &Side::default(), &new)),
            Some(old) if old == new => {}
            Some(old) if old.versions == new.versions => diff.rebuilt.push(change(name, &old, &new)),
            Some(old) => diff.changed.push(change(name, &old, &new)),
        }
    }
    diff.removed = old.into_iter().map(|(name, old)| change(name, &old, &Side::default())).collect();
    diff
}

/// NAR bytes of those paths of `after` that none of the closures `known_there` has:
/// at most so much has to be sent, and less when the receiver has other paths.
pub fn bytes_to_send(after: &Closure, known_there: &[&Closure]) -> u64 {
    let missing = |path: &StorePath| !known_there.iter().any(|known| known.paths.contains_key(path));
    let sizes = after.paths.iter().filter(|(path, _)| missing(path)).map(|(_, bytes)| *bytes);
    sizes.fold(0, u64::saturating_add)
}

fn size(closure: &Closure) -> u64 {
    closure.paths.values().copied().fold(0, u64::saturating_add)
}

fn by_package(closure: &Closure) -> BTreeMap<String, Side<'_>> {
    let mut packages: BTreeMap<String, Side<'_>> = BTreeMap::new();
    for (path, bytes) in &closure.paths {
        let name = PackageName::of(path.name());
        let side = packages.entry(name.package).or_default();
        side.versions.insert(name.version);
        side.paths.insert((path, *bytes));
    }
    packages
}

fn change(name: String, before: &Side<'_>, after: &Side<'_>) -> PackageChange {
    let bytes = (after.bytes() - before.bytes()).clamp(i64::MIN.into(), i64::MAX.into());
    PackageChange {
        name,
        before: before.sorted_versions(),
        after: after.sorted_versions(),
        bytes: i64::try_from(bytes).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A closure of `(first character of the hash, name, bytes)`.
    fn closure(paths: &[(char, &str, u64)]) -> Closure {
        let path = |hash: &char, name: &str| {
            format!("/nix/store/{}-{name}", hash.to_string().repeat(32)).parse().unwrap()
        };
        Closure { paths: paths.iter().map(|(hash, name, bytes)| (path(hash, name), *bytes)).collect() }
    }

    fn names(changes: &[PackageChange]) -> Vec<(&str, String, String, i64)> {
        let row = |c: &PackageChange| (c.before.join(","), c.after.join(","), c.bytes);
        changes.iter().map(|c| (c.name.as_str(), row(c).0, row(c).1, row(c).2)).collect()
    }

    #[test]
    fn sorts_packages_into_added_removed_changed_rebuilt() {
        let before = closure(&[
            ('a', "openssl-3.0.20", 100),
            ('b', "openssl-3.0.20-bin", 10),
            ('c', "sqlite-3.45", 50),
            ('d', "etc", 5),
            ('e', "bash-5.2", 7),
            ('f', "zlib-1.2", 1),
            ('g', "zlib-1.10", 1),
        ]);
        let after = closure(&[
            ('h', "openssl-3.0.21", 120),
            ('i', "openssl-3.0.21-bin", 10),
            ('j', "jq-1.7", 30),
            ('k', "etc", 4),
            ('e', "bash-5.2", 7),
            ('g', "zlib-1.10", 1),
        ]);
        let diff = closure_diff(&before, &after);
        assert_eq!(names(&diff.added), [("jq", String::new(), "1.7".into(), 30)]);
        assert_eq!(names(&diff.removed), [("sqlite", "3.45".into(), String::new(), -50)]);
        assert_eq!(
            names(&diff.changed),
            [
                ("openssl", "3.0.20".into(), "3.0.21".into(), 20),
                ("zlib", "1.2,1.10".into(), "1.10".into(), -1)
            ]
        );
        assert_eq!(names(&diff.rebuilt), [("etc", String::new(), String::new(), -1)]);
        assert_eq!((diff.bytes_before, diff.bytes_after), (174, 172));
        assert_eq!(bytes_to_send(&after, &[&before]), 164);
        assert_eq!(bytes_to_send(&after, &[&before, &after]), 0);
        assert_eq!(bytes_to_send(&after, &[]), 172);
    }

    /// Few names and hashes, so that two closures have much in common.
    fn any_closure() -> impl Strategy<Value = Closure> {
        let name = prop_oneof![
            Just("openssl-3.0.20"),
            Just("openssl-3.0.21"),
            Just("openssl-3.0.21-dev"),
            Just("etc"),
            Just("linux-6.6.1-modules"),
            Just("unit-a.service"),
            Just("1.0"),
            Just("-"),
        ];
        let path = ("[abc]", name).prop_map(|(hash, name)| {
            format!("/nix/store/{}-{name}", hash.repeat(32)).parse::<StorePath>().unwrap()
        });
        proptest::collection::btree_map(path, 0..(1_u64 << 45), 0..20).prop_map(|paths| Closure { paths })
    }

    fn mirrored(change: &PackageChange) -> PackageChange {
        PackageChange {
            name: change.name.clone(),
            before: change.after.clone(),
            after: change.before.clone(),
            bytes: -change.bytes,
        }
    }

    proptest! {
        #[test]
        fn a_closure_does_not_differ_from_itself(a in any_closure()) {
            let diff = closure_diff(&a, &a);
            let changes = [diff.added, diff.removed, diff.changed, diff.rebuilt].concat();
            prop_assert!(changes.is_empty());
            prop_assert_eq!(bytes_to_send(&a, &[&a]), 0);
        }

        #[test]
        fn bytes_of_the_changes_add_up(a in any_closure(), b in any_closure()) {
            let diff = closure_diff(&a, &b);
            let changes = [diff.added, diff.removed, diff.changed, diff.rebuilt].concat();
            let sum: i128 = changes.iter().map(|c| i128::from(c.bytes)).sum();
            prop_assert_eq!(sum, i128::from(diff.bytes_after) - i128::from(diff.bytes_before));
            prop_assert!(bytes_to_send(&b, &[&a]) <= diff.bytes_after);
        }

        #[test]
        fn looking_from_the_other_side_mirrors(a in any_closure(), b in any_closure()) {
            let (there, back) = (closure_diff(&a, &b), closure_diff(&b, &a));
            let mirror = |list: &[PackageChange]| list.iter().map(mirrored).collect::<Vec<_>>();
            prop_assert_eq!(&there.removed, &mirror(&back.added));
            prop_assert_eq!(&there.added, &mirror(&back.removed));
            prop_assert_eq!(&there.changed, &mirror(&back.changed));
            prop_assert_eq!(&there.rebuilt, &mirror(&back.rebuilt));
        }

        #[test]
        fn every_list_is_sorted(a in any_closure(), b in any_closure()) {
            let diff = closure_diff(&a, &b);
            for list in [diff.added, diff.removed, diff.changed, diff.rebuilt] {
                prop_assert!(list.is_sorted_by(|x, y| x.name < y.name));
            }
        }

        #[test]
        fn sizes_beyond_all_measure_do_not_panic(bytes in proptest::collection::vec(any::<u64>(), 1..4)) {
            let paths = ["a", "b", "c"].iter().zip(bytes).map(|(hash, bytes)| {
                (format!("/nix/store/{}-x", hash.repeat(32)).parse().unwrap(), bytes)
            });
            let huge = Closure { paths: paths.collect() };
            closure_diff(&huge, &Closure::default());
            bytes_to_send(&huge, &[]);
        }
    }
}
