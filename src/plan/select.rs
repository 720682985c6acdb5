//! Which microVMs a command is about that asks the hypervisor and evaluates nothing:
//! names, globs and `@tags` held against the VMs that are known there. Words for the
//! flake's VMs are matched in `stage::evaluate`.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Failure, Result};
use crate::model::name::{MOST_GLOB, VmName, Word, likeness};

/// The VMs that the words mean, in name order; no words mean all. `tags` come from the
/// settings.
///
/// # Errors
/// For a word that means none of them (exit 2).
pub fn among(
    typed: &[String],
    known: &BTreeSet<VmName>,
    tags: &BTreeMap<VmName, Vec<Word>>,
) -> Result<Vec<VmName>> {
    if typed.is_empty() {
        return Ok(known.iter().cloned().collect());
    }
    let mut chosen = BTreeSet::new();
    for word in typed {
        if let Some(tag) = word.strip_prefix('@') {
            let has = |vm: &VmName| tags.get(vm).is_some_and(|tags| tags.iter().any(|t| t.as_str() == tag));
            let tagged: Vec<&VmName> = known.iter().filter(|vm| has(vm)).collect();
            if tagged.is_empty() {
                return Err(no_tag(tag, tags));
            }
            chosen.extend(tagged.into_iter().cloned());
        } else if is_glob(word) {
            let glob = glob(word)?;
            let matching: Vec<&VmName> = known.iter().filter(|vm| glob.is_match(vm.as_str())).collect();
            if matching.is_empty() {
                let message = format!("the glob {word:?} matches no microVM of the hypervisor");
                return Err(Failure::usage(message).help(listed(word, known)));
            }
            chosen.extend(matching.into_iter().cloned());
        } else {
            match known.iter().find(|vm| vm.as_str() == word) {
                Some(vm) => drop(chosen.insert(vm.clone())),
                None => return Err(unknown(word, known)),
            }
        }
    }
    Ok(chosen.into_iter().collect())
}

/// The failure for a name that the hypervisor does not know. The flake may have it.
pub fn unknown(name: &str, known: &BTreeSet<VmName>) -> Failure {
    let listed = listed(name, known);
    let help = match name.parse::<VmName>() {
        Ok(vm) => format!("{listed}\nif the flake has it, this installs it: deployvm push {vm}"),
        Err(_) => listed,
    };
    Failure::usage(format!("the hypervisor knows no microVM {name:?}")).help(help)
}

/// Whether one of the words is a glob that matches this name; no words match all.
pub fn covers(typed: &[String], name: &VmName) -> bool {
    let matches = |word: &String| is_glob(word) && glob(word).is_ok_and(|g| g.is_match(name.as_str()));
    typed.is_empty() || typed.iter().any(matches)
}

/// Whether one of these globs matches the name of a branch; none match all.
///
/// # Errors
/// For a glob that is none (exit 2).
pub fn covers_branch(globs: &[String], branch: &str) -> Result<bool> {
    let mut covered = globs.is_empty();
    for word in globs {
        covered |= glob(word)?.is_match(branch);
    }
    Ok(covered)
}

/// Whether every word is a plain name.
pub fn only_names(typed: &[String]) -> Option<Vec<VmName>> {
    typed.iter().map(|word| word.parse().ok()).collect()
}

/// The names, those most like `wanted` first.
pub fn nearest_first<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    names.sort_by(|a, b| likeness(wanted, b).total_cmp(&likeness(wanted, a)));
    names
}

fn is_glob(word: &str) -> bool {
    word.contains(['*', '?', '[', '{'])
}

fn glob(word: &str) -> Result<GlobMatcher> {
    if word.len() > MOST_GLOB {
        return Err(Failure::usage(format!("a glob has more than {MOST_GLOB} characters"))
            .help("write a shorter one"));
    }
    match GlobBuilder::new(word).literal_separator(false).build() {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(Failure::usage(format!("{word:?} is not a valid glob: {}", error.kind()))
            .help("use * for any characters, ? for one, [abc] for one of these")),
    }
}

fn no_tag(tag: &str, tags: &BTreeMap<VmName, Vec<Word>>) -> Failure {
    let known = nearest_first(tag, tags.values().flatten().map(Word::as_str));
    let failure = Failure::usage(format!("no microVM of the hypervisor has the tag {tag:?}"));
    match known.as_slice() {
        [] => failure.help(
            "without evaluation only tags in deployvm.toml (vms.NAME.tags) are known: name the VMs instead",
        ),
        known => failure.help(format!("known tags, nearest first: {}", known.join(", "))),
    }
}

fn listed(name: &str, known: &BTreeSet<VmName>) -> String {
    match nearest_first(name, known.iter().map(VmName::as_str)).as_slice() {
        [] => "it has none".to_owned(),
        known => format!("it knows, nearest first: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(typed: &[&str]) -> String {
        let typed: Vec<String> = typed.iter().map(|w| (*w).to_owned()).collect();
        let known = ["vm1", "vm2", "web-1"].map(|n| n.parse().unwrap()).into();
        let tags = BTreeMap::from([("vm2".parse().unwrap(), vec!["db".parse().unwrap()])]);
        match among(&typed, &known, &tags) {
            Ok(names) => names.iter().map(VmName::as_str).collect::<Vec<_>>().join(" "),
            Err(failure) => {
                assert_eq!(failure.aftermath.code(), 2);
                format!("{} | {}", failure.message, failure.help.unwrap_or_default())
            }
        }
    }

    #[test]
    fn words_mean_what_the_hypervisor_knows() {
        let all: Vec<String> = [
            &[] as &[&str],
            &["vm2", "vm1", "vm1"],
            &["vm*", "web-1"],
            &["@db"],
            &["@dbs"],
            &["web1"],
            &["x*"],
            &["vm["],
            &["my vm"],
        ]
        .iter()
        .map(|typed| format!("{typed:?}: {}", chosen(typed)))
        .collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        []: vm1 vm2 web-1
        ["vm2", "vm1", "vm1"]: vm1 vm2
        ["vm*", "web-1"]: vm1 vm2 web-1
        ["@db"]: vm2
        ["@dbs"]: no microVM of the hypervisor has the tag "dbs" | known tags, nearest first: db
        ["web1"]: the hypervisor knows no microVM "web1" | it knows, nearest first: web-1, vm1, vm2
        if the flake has it, this installs it: deployvm push web1
        ["x*"]: the glob "x*" matches no microVM of the hypervisor | it knows, nearest first: vm1, vm2, web-1
        ["vm["]: "vm[" is not a valid glob: unclosed character class; missing ']' | use * for any characters, ? for one, [abc] for one of these
        ["my vm"]: the hypervisor knows no microVM "my vm" | it knows, nearest first: vm1, vm2, web-1
        "#);
    }

    #[test]
    fn globs_also_cover_orphans() {
        let name: VmName = "old".parse().unwrap();
        assert!(covers(&[], &name));
        assert!(covers(&["o*".to_owned()], &name));
        assert!(!covers(&["vm*".to_owned()], &name));
    }
}
