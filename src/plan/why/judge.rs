//! What differs in a derivation by itself. Its texts hold the paths of everything that it
//! is made of; those are covered first, so that what only follows from an input is no
//! difference.

use std::collections::BTreeSet;

use super::shorten::shorten;
use crate::model::derivation::Derivation;
use crate::model::store_path::StorePath;
use crate::model::why::{Change, What};
use crate::plan::cover::{Cover, leading, without_hashes};
use crate::plan::pairs::{self, Matched};

/// Whether whatever needs the one would not notice if it got the other.
pub fn makes_the_same(before: &Derivation, after: &Derivation) -> bool {
    before.outputs == after.outputs && before.outputs.values().all(|made| made.path.is_some())
}

/// Whether what it makes is known beforehand, whatever fetches it.
pub fn fixed(derivation: &Derivation) -> bool {
    derivation.outputs.values().any(|made| !made.hash.is_empty())
}

/// The differences. `matched` are the inputs of both, `look` finds derivations.
pub fn own<'a>(
    names: (&str, &str),
    (before, after): (&'a Derivation, &'a Derivation),
    matched: &Matched,
    look: impl Fn(&StorePath) -> Option<&'a Derivation>,
) -> Vec<Change> {
    let sources = sources(before, after);
    let (mut old, mut new) = (Cover::default(), Cover::default());
    cover((before, after), &mut old, &mut new);
    for (one, other) in &matched.pairs {
        if let (Some(one), Some(other)) = (look(one), look(other)) {
            cover((one, other), &mut old, &mut new);
        }
    }
    for (one, other) in &sources.pairs {
        old.add(one, other.name());
        new.add(other, other.name());
    }
    let outputs = |paths: &[StorePath]| -> Vec<StorePath> {
        let of = |path: &StorePath| look(path).map(|d| d.outputs.values().filter_map(|m| m.path.clone()));
        paths.iter().filter_map(of).flatten().collect()
    };
    let passing = [outputs(&matched.removed), outputs(&matched.added)].concat();
    let passing = [passing, sources.removed.clone(), sources.added.clone()].concat();
    let texts = Texts { old, new, passing: passing.into_iter().collect() };
    let mut all = Vec::new();
    if names.0 != names.1 {
        all.push(change(What::Name, "name", Some(names.0.to_owned()), Some(names.1.to_owned())));
    }
    texts.compare(What::System, "system", Some(&before.system), Some(&after.system), &mut all);
    texts.compare(What::Builder, "builder", Some(&before.builder), Some(&after.builder), &mut all);
    variables(before, after, &texts, &mut all);
    for at in 0..before.args.len().max(after.args.len()) {
        let number = (at + 1).to_string();
        texts.compare(What::Argument, &number, before.args.get(at), after.args.get(at), &mut all);
    }
    if !(fixed(before) && fixed(after)) {
        came_and_went(What::Input, matched, pairs::name, &mut all);
    }
    for (one, other) in &sources.pairs {
        all.push(change(What::Source, other.name(), Some(one.to_string()), Some(other.to_string())));
    }
    came_and_went(What::Source, &sources, |path| path.name(), &mut all);
    all
}

fn variables(before: &Derivation, after: &Derivation, texts: &Texts, all: &mut Vec<Change>) {
    // Told already: these three stand in the environment once more.
    let told: Vec<&str> = all.iter().map(|change| change.what.word()).collect();
    let names: BTreeSet<&String> = before.env.keys().chain(after.env.keys()).collect();
    let mut found = Vec::new();
    for name in names.into_iter().filter(|name| !told.contains(&name.as_str())) {
        let shown = shorten("", name).1;
        texts.compare(What::Variable, &shown, before.env.get(name), after.env.get(name), &mut found);
    }
    all.extend(found);
}

/// Files of the two that differ; those of one name belong together.
fn sources(before: &Derivation, after: &Derivation) -> Matched {
    let old: Vec<&StorePath> = before.sources.difference(&after.sources).collect();
    let new: Vec<&StorePath> = after.sources.difference(&before.sources).collect();
    pairs::matched(&old, &new)
}

/// One name for the paths that the two make.
fn cover((before, after): (&Derivation, &Derivation), old: &mut Cover, new: &mut Cover) {
    for (output, made) in &after.outputs {
        let Some(path) = &made.path else { continue };
        new.add(path, path.name());
        if let Some(before) = before.outputs.get(output).and_then(|made| made.path.as_ref()) {
            old.add(before, path.name());
        }
    }
}

fn came_and_went(what: What, matched: &Matched, name: fn(&StorePath) -> &str, all: &mut Vec<Change>) {
    let gone = matched.removed.iter().map(|p| change(what, name(p), Some(p.to_string()), None));
    all.extend(gone);
    all.extend(matched.added.iter().map(|p| change(what, name(p), None, Some(p.to_string()))));
}

fn change(what: What, name: &str, before: Option<String>, after: Option<String>) -> Change {
    Change { what, name: name.to_owned(), before, after }
}

/// How texts of the two are compared.
struct Texts {
    old: Cover,
    new: Cover,
    /// Paths of what came or went.
    passing: BTreeSet<StorePath>,
}

impl Texts {
    fn compare(
        &self,
        what: What,
        name: &str,
        before: Option<&String>,
        after: Option<&String>,
        all: &mut Vec<Change>,
    ) {
        let before = before.map(|text| self.old.over(text));
        let after = after.map(|text| self.new.over(text));
        if before == after {
            return;
        }
        let (Some(old), Some(new)) = (&before, &after) else {
            let start = |text: String| shorten("", &without_hashes(&text)).1;
            all.push(change(what, name, before.map(start), after.map(start)));
            return;
        };
        if !self.passing.is_empty() && self.lasting(old) == self.lasting(new) {
            return;
        }
        let (plain, bare) = (shorten(old, new), shorten(&without_hashes(old), &without_hashes(new)));
        let (old, new) = if bare.0 == bare.1 { plain } else { bare };
        all.push(change(what, name, Some(old), Some(new)));
    }

    /// The words of a list, without those that only say what came or went.
    fn lasting<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let passes = |word: &str| {
            let word = word.trim_start_matches(['"', '\'', '[', ',']);
            leading(word).is_some_and(|path| self.passing.contains(&path))
        };
        text.split_whitespace().filter(|word| !passes(word)).collect()
    }
}
