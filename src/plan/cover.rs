//! Store paths in texts of derivations. Where one input has taken the place of another,
//! their paths are told apart by nothing any more: what is left then differs by itself.

use std::collections::BTreeMap;

use crate::model::store_path::StorePath;

const STORE: &str = "/nix/store/";

/// What stands for which path.
#[derive(Debug, Default)]
pub struct Cover(BTreeMap<StorePath, String>);

impl Cover {
    /// From now on this name stands for that path.
    pub fn add(&mut self, path: &StorePath, name: &str) {
        self.0.insert(path.clone(), format!("{STORE}…-{name}"));
    }

    /// The text with those names.
    pub fn over(&self, text: &str) -> String {
        replaced(text, |path| self.0.get(path).cloned())
    }
}

/// The text without the hash of any store path.
pub fn without_hashes(text: &str) -> String {
    replaced(text, |path| Some(format!("{STORE}…-{}", path.name())))
}

/// The store path with which a text begins.
pub fn leading(text: &str) -> Option<StorePath> {
    let name = text.strip_prefix(STORE)?;
    longest(text.get(..STORE.len() + length(name))?).map(|(path, _)| path)
}

/// How long a name is that a text begins with.
fn length(text: &str) -> usize {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
    text.find(|c: char| !allowed(c)).unwrap_or(text.len())
}

/// Asks for every store path in a text what to write instead.
fn replaced(text: &str, instead: impl Fn(&StorePath) -> Option<String>) -> String {
    let mut all = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(STORE) {
        let (before, found) = rest.split_at(at);
        all.push_str(before);
        let name = found.get(STORE.len()..).unwrap_or_default();
        let (path, after) = found.split_at(STORE.len() + length(name));
        match longest(path).and_then(|(known, end)| Some((instead(&known)?, end))) {
            Some((text, end)) => {
                all.push_str(&text);
                all.push_str(end);
            }
            None => all.push_str(path),
        }
        rest = after;
    }
    all.push_str(rest);
    all
}

/// The path, and what cannot be a part of it: a full stop behind it ends a sentence.
fn longest(text: &str) -> Option<(StorePath, &str)> {
    let path = text.trim_end_matches('.');
    Some((path.parse().ok()?, text.get(path.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATH: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-app-1";

    #[test]
    fn one_name_stands_for_two_paths() {
        let mut cover = Cover::default();
        cover.add(&PATH.parse().unwrap(), "app-2");
        assert_eq!(
            cover.over(&format!("PATH={PATH}/bin:{PATH}x {PATH}.")),
            format!("PATH=/nix/store/…-app-2/bin:{PATH}x /nix/store/…-app-2.")
        );
        assert_eq!(without_hashes(&format!("a {PATH}/b /nix/store/.links")), {
            "a /nix/store/…-app-1/b /nix/store/.links"
        });
        assert_eq!(leading(&format!("{PATH}/bin")).unwrap().as_str(), PATH);
        assert_eq!((leading(&format!(" {PATH}")), leading("/nix/store/")), (None, None));
    }

    proptest! {
        #[test]
        fn a_text_without_paths_stays(text in "(/nix/store/|[a-z0-9./ é-]){0,30}") {
            prop_assert_eq!(without_hashes(&text), text);
        }
    }
}
