//! Which microVMs a command is about. What a user types (names, globs, `@tags`;
//! nothing means all) is held against the flake twice: [`choose`] before
//! evaluation, so that only the chosen configurations are evaluated, and
//! [`confirm`] afterwards, when it is known which of them are microVMs.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Failure, Result};
use crate::model::name::{VmName, Word};

/// Which configurations have to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// All of them: nothing was said, or a tag that a VM may carry in its own configuration.
    All,
    /// These.
    Some(Vec<VmName>),
}

/// A configuration that was evaluated (or tried), for [`confirm`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Whether it is a microVM; a broken one counts, because nobody can tell.
    pub microvm: bool,
    /// Its tags, from the settings and from its own configuration.
    pub tags: BTreeSet<Word>,
}

/// One word of the command line.
enum Selector {
    Name(String),
    Glob(String, Box<GlobMatcher>),
    Tag(Word),
}

/// Holds what was typed against the names in the flake's `nixosConfigurations`.
/// Tags are left to [`confirm`], because a VM's own configuration may carry them:
/// with one, everything is evaluated.
///
/// # Errors
/// For a name or glob that matches nothing, and a name that no microVM can have (exit 2).
pub fn choose(typed: &[String], in_flake: &[String]) -> Result<Chosen> {
    let mut chosen = BTreeSet::new();
    let mut all = typed.is_empty();
    for word in typed {
        match selector(word)? {
            Selector::Tag(_) => all = true,
            Selector::Name(name) => {
                if !in_flake.contains(&name) {
                    return Err(unknown_vm(&name, in_flake));
                }
                chosen.insert(valid(&name)?);
            }
            Selector::Glob(text, glob) => {
                let mut matching = in_flake.iter().filter(|name| glob.is_match(name)).peekable();
                if matching.peek().is_none() {
                    return Err(unmatched(&text, in_flake));
                }
                for name in matching {
                    match name.parse() {
                        Ok(name) => {
                            chosen.insert(name);
                        }
                        // Only evaluation tells whether it is a microVM, and so to be refused.
                        Err(_) => all = true,
                    }
                }
            }
        }
    }
    Ok(if all { Chosen::All } else { Chosen::Some(chosen.into_iter().collect()) })
}

/// Says which microVMs are meant, now that the chosen configurations were evaluated.
/// `misnamed` are microVMs among them whose names are not valid.
///
/// # Errors
/// For a name that is no microVM, a glob or tag that no microVM matches, a microVM
/// with an impossible name, and when there is no microVM at all (exit 2).
pub fn confirm(
    typed: &[String],
    evaluated: &BTreeMap<VmName, Candidate>,
    misnamed: &[String],
) -> Result<Vec<VmName>> {
    let microvms: BTreeMap<&VmName, &Candidate> = evaluated.iter().filter(|(_, c)| c.microvm).collect();
    let names: Vec<String> = microvms.keys().map(|name| name.to_string()).collect();
    let mut chosen = BTreeSet::new();
    for word in typed {
        let found: Vec<VmName> = match selector(word)? {
            Selector::Name(name) => match microvms.keys().find(|vm| vm.as_str() == name) {
                Some(vm) => vec![(*vm).clone()],
                None => return Err(not_a_microvm(&name, evaluated, &names)),
            },
            Selector::Glob(text, glob) => {
                if let Some(bad) = misnamed.iter().find(|name| glob.is_match(name)) {
                    valid(bad)?;
                }
                let found: Vec<VmName> =
                    microvms.keys().filter(|vm| glob.is_match(vm.as_str())).map(|vm| (*vm).clone()).collect();
                if found.is_empty() {
                    return Err(unmatched(&text, &names));
                }
                found
            }
            Selector::Tag(tag) => tagged(&tag, &microvms)?,
        };
        chosen.extend(found);
    }
    if typed.is_empty() {
        if let Some(bad) = misnamed.first() {
            valid(bad)?;
        }
        if microvms.is_empty() {
            return Err(Failure::usage("the flake has no microVM").help(
                "a microVM is a nixosConfigurations.NAME that imports microvm.nix's module (microvm.nixosModules.microvm)",
            ));
        }
        chosen.extend(microvms.into_keys().cloned());
    }
    Ok(chosen.into_iter().collect())
}

/// The names, those most like `wanted` first.
pub fn nearest_first<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let likeness = |name: &str| strsim::jaro_winkler(&wanted, &name.to_lowercase());
    names.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    names
}

fn selector(word: &str) -> Result<Selector> {
    if let Some(tag) = word.strip_prefix('@') {
        let tag = tag.parse().map_err(|error| {
            Failure::usage(format!("{word:?} is no tag: {error}")).help("a tag is written @NAME")
        })?;
        return Ok(Selector::Tag(tag));
    }
    if !word.contains(['*', '?', '[', '{']) {
        return Ok(Selector::Name(word.to_owned()));
    }
    match GlobBuilder::new(word).literal_separator(false).build() {
        Ok(glob) => Ok(Selector::Glob(word.to_owned(), Box::new(glob.compile_matcher()))),
        Err(error) => Err(Failure::usage(format!("{word:?} is not a valid glob: {}", error.kind()))
            .help("use * for any characters, ? for one, [abc] for one of these")),
    }
}

fn tagged(tag: &Word, microvms: &BTreeMap<&VmName, &Candidate>) -> Result<Vec<VmName>> {
    let with = |(vm, c): (&&VmName, &&Candidate)| c.tags.contains(tag).then(|| (**vm).clone());
    let found: Vec<VmName> = microvms.iter().filter_map(with).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let known = nearest_first(tag.as_str(), microvms.values().flat_map(|c| &c.tags).map(Word::as_str));
    let failure = Failure::usage(format!("no microVM has the tag {tag:?}", tag = tag.as_str()));
    Err(match known.as_slice() {
        [] => failure.help("no microVM has any tag: set vms.NAME.tags"),
        known => failure.help(format!("known tags, nearest first: {}", known.join(", "))),
    })
}

fn valid(name: &str) -> Result<VmName> {
    name.parse().map_err(|error| {
        Failure::usage(format!("{error}")).help("rename the configuration, or choose others by name")
    })
}

fn unknown_vm(name: &str, known: &[String]) -> Failure {
    Failure::usage(format!("the flake has no configuration {name:?}")).help(listed(name, known))
}

fn unmatched(glob: &str, known: &[String]) -> Failure {
    Failure::usage(format!("the glob {glob:?} matches no microVM")).help(listed(glob, known))
}

fn not_a_microvm(name: &str, evaluated: &BTreeMap<VmName, Candidate>, microvms: &[String]) -> Failure {
    if evaluated.keys().any(|known| known.as_str() == name) {
        return Failure::usage(format!("{name:?} is not a microVM"))
            .help(format!("its configuration has no microvm.declaredRunner; {}", listed(name, microvms)));
    }
    unknown_vm(name, microvms)
}

fn listed(name: &str, known: &[String]) -> String {
    match nearest_first(name, known.iter().map(String::as_str)).as_slice() {
        [] => "there is none".to_owned(),
        known => format!("known, nearest first: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    fn flake() -> Vec<String> {
        words(&["hypervisor", "vm1", "vm2", "web-1", "my vm"])
    }

    fn evaluated() -> BTreeMap<VmName, Candidate> {
        let candidate = |name: &str, microvm, tags: &[&str]| {
            let tags = tags.iter().map(|t| t.parse().unwrap()).collect();
            (name.parse().unwrap(), Candidate { microvm, tags })
        };
        BTreeMap::from([
            candidate("hypervisor", false, &["web"]),
            candidate("vm1", true, &["db"]),
            candidate("vm2", true, &["db", "web"]),
            candidate("web-1", true, &["web"]),
        ])
    }

    fn chosen(typed: &[&str]) -> String {
        match choose(&words(typed), &flake()) {
            Ok(Chosen::All) => "all".to_owned(),
            Ok(Chosen::Some(names)) => names.iter().map(VmName::as_str).collect::<Vec<_>>().join(" "),
            Err(failure) => said(&failure),
        }
    }

    fn confirmed(typed: &[&str], misnamed: &[&str]) -> String {
        match confirm(&words(typed), &evaluated(), &words(misnamed)) {
            Ok(names) => names.iter().map(VmName::as_str).collect::<Vec<_>>().join(" "),
            Err(failure) => said(&failure),
        }
    }

    fn said(failure: &Failure) -> String {
        assert_eq!(failure.aftermath.code(), 2);
        format!("{} | {}", failure.message, failure.help.clone().unwrap_or_default())
    }

    #[test]
    fn before_evaluation() {
        let all: Vec<String> = [
            &[] as &[&str],
            &["vm2", "vm1", "vm1"],
            &["vm*", "web-1"],
            &["@web"],
            &["@web", "vm1"],
            &["vm3"],
            &["@web", "vm3"],
            &["x*"],
            &["my*"],
            &["vm1", "my*"],
            &["my vm"],
            &["vm["],
            &["@"],
            &["@-x"],
        ]
        .iter()
        .map(|typed| format!("{typed:?}: {}", chosen(typed)))
        .collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        []: all
        ["vm2", "vm1", "vm1"]: vm1 vm2
        ["vm*", "web-1"]: vm1 vm2 web-1
        ["@web"]: all
        ["@web", "vm1"]: all
        ["vm3"]: the flake has no configuration "vm3" | known, nearest first: vm1, vm2, my vm, hypervisor, web-1
        ["@web", "vm3"]: the flake has no configuration "vm3" | known, nearest first: vm1, vm2, my vm, hypervisor, web-1
        ["x*"]: the glob "x*" matches no microVM | known, nearest first: hypervisor, my vm, vm1, vm2, web-1
        ["my*"]: all
        ["vm1", "my*"]: all
        ["my vm"]: "my vm" is not a valid VM name: only ASCII letters, digits, '-', '_' and '.' are allowed | rename the configuration, or choose others by name
        ["vm["]: "vm[" is not a valid glob: unclosed character class; missing ']' | use * for any characters, ? for one, [abc] for one of these
        ["@"]: "@" is no tag: "" is not a valid name: it is empty | a tag is written @NAME
        ["@-x"]: "@-x" is no tag: "-x" is not a valid name: it must start with an ASCII letter or digit | a tag is written @NAME
        "#);
    }

    #[test]
    fn after_evaluation() {
        let all: Vec<String> = [
            (&[] as &[&str], &[] as &[&str]),
            (&[], &["my vm"]),
            (&["vm1"], &["my vm"]),
            (&["*"], &[]),
            (&["*"], &["my vm"]),
            (&["vm?"], &[]),
            (&["hyper*"], &[]),
            (&["hypervisor"], &[]),
            (&["@web"], &["my vm"]),
            (&["@db", "web-1"], &[]),
            (&["@dbs"], &[]),
        ]
        .iter()
        .map(|(typed, misnamed)| format!("{typed:?} {misnamed:?}: {}", confirmed(typed, misnamed)))
        .collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        [] []: vm1 vm2 web-1
        [] ["my vm"]: "my vm" is not a valid VM name: only ASCII letters, digits, '-', '_' and '.' are allowed | rename the configuration, or choose others by name
        ["vm1"] ["my vm"]: vm1
        ["*"] []: vm1 vm2 web-1
        ["*"] ["my vm"]: "my vm" is not a valid VM name: only ASCII letters, digits, '-', '_' and '.' are allowed | rename the configuration, or choose others by name
        ["vm?"] []: vm1 vm2
        ["hyper*"] []: the glob "hyper*" matches no microVM | known, nearest first: web-1, vm1, vm2
        ["hypervisor"] []: "hypervisor" is not a microVM | its configuration has no microvm.declaredRunner; known, nearest first: web-1, vm1, vm2
        ["@web"] ["my vm"]: vm2 web-1
        ["@db", "web-1"] []: vm1 vm2 web-1
        ["@dbs"] []: no microVM has the tag "dbs" | known tags, nearest first: db, web
        "#);
        assert!(confirm(&[], &BTreeMap::new(), &[]).is_err());
    }
}
