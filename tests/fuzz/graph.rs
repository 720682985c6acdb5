//! Derivations, and the walk through two graphs of them.

use std::collections::BTreeSet;

use deployvm::model::store_path::StorePath;
use deployvm::plan::why::Walk;
use deployvm::tool::nix::derivation::parse;

use crate::fingerprint;
use crate::targets::{rough, text};

/// Two derivations of a file each: one took the place of the other.
pub fn derivation(bytes: &[u8]) -> u64 {
    let text = text(bytes);
    let (before, after) = text.split_once("\n--\n").unwrap_or((&text, ""));
    let (before, after) = (parse(before), parse(after));
    for read in before.iter().chain(&after) {
        assert!(read.inputs.keys().all(StorePath::is_derivation) && !read.outputs.is_empty());
    }
    let [old, new] = ["a", "b"]
        .map(|hash| format!("/nix/store/{}-vm1.drv", hash.repeat(32)).parse::<StorePath>().unwrap());
    let mut walk = Walk::begin(&old, &new);
    let mut rounds = 0;
    loop {
        let needs = walk.needs();
        if needs.is_empty() {
            break;
        }
        rounds += 1;
        for path in needs {
            let known = if path == old { before.clone() } else { after.clone().filter(|_| path == new) };
            walk.learn(path, known);
        }
    }
    let why = walk.end();
    let kinds: Vec<_> = why.causes.iter().map(|cause| (cause.way.len(), cause.changes.len())).collect();
    let words = why.causes.iter().flat_map(|cause| &cause.changes).map(|change| change.what.word());
    let words: BTreeSet<_> = words.collect();
    fingerprint((before.is_some(), after.is_some(), rounds, words, rough(kinds.len())))
}
