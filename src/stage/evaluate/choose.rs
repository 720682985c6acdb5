//! Which microVMs the user means: names, globs and tags against what the flake has.
//! A tag may stand in a VM's own configuration, so it can be necessary to evaluate
//! VMs only to learn that they are not meant.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobMatcher};

use crate::error::{Failure, Result};
use crate::model::inventory::Wanted;
use crate::model::name::{MOST_GLOB, VmName, Word};
use crate::model::settings::DeployvmOutput;

/// What was meant, as far as it can be known before evaluating.
#[derive(Debug, Default)]
pub struct Chosen {
    /// Meant for certain.
    certain: BTreeSet<VmName>,
    /// Meant if their own configuration has one of the tags.
    perhaps: BTreeSet<VmName>,
    /// Named outright: an error when they are no microVMs.
    named: BTreeSet<VmName>,
    /// Tags asked for, each with whether it was met yet.
    tags: BTreeMap<String, bool>,
    /// Chosen names that no microVM may have; most belong to other configurations.
    pub odd: BTreeSet<String>,
}

/// Matches the user's words with the names in the flake.
///
/// # Errors
/// When a word matches nothing.
pub fn choose(
    names: &[String],
    output: Option<&DeployvmOutput>,
    words: &[String],
    tags: &BTreeMap<VmName, Vec<Word>>,
) -> Result<Chosen> {
    let mut chosen = Chosen::default();
    if words.is_empty() {
        names.iter().for_each(|name| chosen.add(name));
    }
    for word in words {
        if let Some(tag) = word.strip_prefix('@') {
            chosen.tags.insert(tag.to_owned(), false);
        } else if word.contains(['*', '?', '[', '{']) {
            let glob = matcher(word)?;
            let before = names.iter().filter(|n| glob.is_match(n)).map(|n| chosen.add(n)).count();
            if before == 0 {
                return Err(unknown(format!("no configuration in the flake matches '{word}'"), word, names));
            }
        } else if names.contains(word) {
            chosen.add(word);
            chosen.named.extend(word.parse::<VmName>().ok());
        } else {
            return Err(unknown(format!("the flake has no microVM '{word}'"), word, names));
        }
    }
    if !chosen.tags.is_empty() {
        for vm in names.iter().filter_map(|n| n.parse::<VmName>().ok()) {
            let from_output = || output.and_then(|o| o.vms.get(&vm)).and_then(|s| s.tags.as_ref());
            match tags.get(&vm).or_else(from_output) {
                Some(tags) if chosen.meets(tags) => drop(chosen.certain.insert(vm)),
                Some(_) => (),
                None => drop(chosen.perhaps.insert(vm)),
            }
        }
    }
    Ok(chosen)
}

/// Fails when a chosen name belongs to a microVM and cannot be a VM's name.
pub fn refuse_misnamed(chosen: &BTreeSet<String>, misnamed: &[String]) -> Result<()> {
    let Some(name) = misnamed.iter().find(|n| chosen.contains(*n)) else { return Ok(()) };
    let why = name.parse::<VmName>().err().map_or_else(String::new, |e| e.to_string());
    Err(Failure::usage(format!("a microVM of the flake has a name that cannot be used: {why}"))
        .help("rename it in nixosConfigurations, or name the microVMs that you mean"))
}

impl Chosen {
    fn add(&mut self, name: &str) {
        match name.parse() {
            Ok(vm) => drop(self.certain.insert(vm)),
            Err(_) => drop(self.odd.insert(name.to_owned())),
        }
    }

    /// Whether one of `tags` is asked for; remembers that it was met.
    fn meets(&mut self, tags: &[Word]) -> bool {
        let mut met = false;
        for tag in tags {
            if let Some(seen) = self.tags.get_mut(tag.as_str()) {
                *seen = true;
                met = true;
            }
        }
        met
    }

    /// What has to be evaluated before [`Self::settle`] can decide.
    pub fn to_evaluate(&self) -> Vec<VmName> {
        self.certain.union(&self.perhaps).cloned().collect()
    }

    /// The chosen microVMs and the chosen ones that failed. What could not be
    /// evaluated may have had the tag: it counts as chosen rather than be passed over.
    ///
    /// # Errors
    /// When a name belongs to something else than a microVM, or nothing has a tag.
    pub fn settle(
        mut self,
        answers: &BTreeMap<VmName, Option<Wanted>>,
        broken: BTreeMap<VmName, String>,
    ) -> Result<(BTreeMap<VmName, Wanted>, BTreeMap<VmName, String>)> {
        let mut vms = BTreeMap::new();
        for vm in self.to_evaluate() {
            match answers.get(&vm) {
                Some(Some(wanted)) => {
                    let own = wanted.settings.as_ref().and_then(|s| s.tags.as_deref()).unwrap_or_default();
                    let tagged = self.perhaps.contains(&vm) && self.meets(own);
                    if self.certain.contains(&vm) || tagged {
                        vms.insert(vm, wanted.clone());
                    }
                }
                Some(None) if self.named.contains(&vm) => {
                    return Err(Failure::usage(format!(
                        "{vm} is a NixOS configuration of the flake, but not a microVM"
                    ))
                    .help(
                        "a microVM has `config.microvm.declaredRunner`, which microvm.nix's module `microvm` \
                         defines\nif it is the hypervisor's own system: deployvm host push",
                    ));
                }
                _ => (),
            }
        }
        if let Some((tag, _)) = self.tags.iter().find(|(_, met)| !**met).filter(|_| broken.is_empty()) {
            return Err(Failure::usage(format!("no microVM has the tag '{tag}'")).help(
                "tags are in `deployvm.vms.NAME.tags` of the flake, or in the VM's own `deployvm.tags`",
            ));
        }
        Ok((vms, broken))
    }
}

fn matcher(word: &str) -> Result<GlobMatcher> {
    if word.len() > MOST_GLOB {
        return Err(Failure::usage(format!("a glob has more than {MOST_GLOB} characters"))
            .help("write a shorter one"));
    }
    let glob =
        Glob::new(word).map_err(|e| Failure::usage(format!("'{word}' is not a glob: {}", e.kind())))?;
    Ok(glob.compile_matcher())
}

/// The known names, nearest first.
fn unknown(message: String, word: &str, names: &[String]) -> Failure {
    let mut near: Vec<&str> = names.iter().map(String::as_str).collect();
    // Of what is far too long for a name, none is near.
    if word.len() <= MOST_GLOB {
        near.sort_by_key(|name| strsim::damerau_levenshtein(word, name));
    }
    if near.is_empty() {
        return Failure::usage(message).help("its output nixosConfigurations is empty");
    }
    let more = near.len().saturating_sub(12);
    near.truncate(12);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Failure::usage(message).help(format!("its configurations are {}{more}", near.join(", ")))
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
