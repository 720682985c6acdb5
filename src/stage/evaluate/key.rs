//! What an evaluation depends on, as one hash. Pure evaluation sees the locked
//! source, the locked inputs and what the user hands through, and nothing else.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tool::nix::PassThrough;
use crate::tool::nix::eval::INVENTORY;
use crate::tool::nix::metadata::Metadata;

/// Hash of all that the flake sees. The same commit has the same one wherever it is
/// checked out.
pub fn fingerprint(locked: &Metadata, pass: &PassThrough) -> String {
    let seen = ["narHash", "rev", "dirtyRev", "revCount", "lastModified", "dir"];
    let seen: Vec<Value> = seen.iter().map(|k| locked.locked.get(k).cloned().unwrap_or_default()).collect();
    hash(&json!([seen, locked.locks, pass.overrides, pass.options]))
}

/// The name under which results are remembered; `None` when they must not be.
pub fn key(locked: &Metadata, fingerprint: &str, pass: &PassThrough, nix: &str) -> Option<String> {
    // Dirty trees have one too: it covers their content.
    locked.locked.get("narHash")?.as_str()?;
    let impure =
        |(name, value): &(String, String)| name == "impure-env" || name == "pure-eval" && value != "true";
    if pass.options.iter().any(impure) {
        return None;
    }
    // The branch is nothing that a flake sees: Nix 2.8 tells it only when it has just
    // fetched, and a clean tree is the same as its commit.
    let mut place = locked.locked.clone();
    place.as_object_mut().map(|place| place.remove("ref"));
    let url = without_ref(&locked.url);
    Some(hash(&json!([fingerprint, place, url, nix, env!("CARGO_PKG_VERSION"), INVENTORY])))
}

fn without_ref(url: &str) -> String {
    let Some((place, query)) = url.split_once('?') else { return url.to_owned() };
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("ref=")).collect();
    format!("{place}?{}", rest.join("&"))
}

fn hash(value: &Value) -> String {
    Sha256::digest(value.to_string()).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(nar: &str, url: &str) -> Metadata {
        Metadata {
            url: url.into(),
            locked: json!({"narHash": nar, "url": url}),
            locks: json!({"nodes": {}}),
            ..Metadata::default()
        }
    }

    fn key_of(locked: &Metadata, pass: &PassThrough) -> Option<String> {
        key(locked, &fingerprint(locked, pass), pass, "2.8.0")
    }

    #[test]
    fn everything_that_is_seen_is_in_the_key() {
        let pass = PassThrough::default();
        let base = locked("sha256-a", "git+file:///w");
        let other_place = locked("sha256-a", "git+file:///v");
        assert_eq!(fingerprint(&base, &pass), fingerprint(&other_place, &pass));
        assert_ne!(key_of(&base, &pass), key_of(&other_place, &pass));
        assert_ne!(key_of(&base, &pass), key_of(&locked("sha256-b", "git+file:///w"), &pass));
        let locks = Metadata { locks: json!({"nodes": {"x": 1}}), ..base.clone() };
        assert_ne!(key_of(&base, &pass), key_of(&locks, &pass));
        let branch = |url: &str, place: Value| Metadata { url: url.into(), locked: place, ..base.clone() };
        let with =
            branch("git+file:///w?ref=main&rev=1", json!({"narHash": "sha256-a", "rev": "1", "ref": "main"}));
        let without = branch("git+file:///w?rev=1", json!({"narHash": "sha256-a", "rev": "1"}));
        assert_eq!(key_of(&with, &pass), key_of(&without, &pass));
        let overridden = PassThrough { overrides: vec![("a".into(), "b".into())], ..pass.clone() };
        assert_ne!(key_of(&base, &pass), key_of(&base, &overridden));
    }

    #[test]
    fn impure_evaluations_are_not_remembered() {
        let base = locked("sha256-a", "x");
        let impure =
            PassThrough { options: vec![("pure-eval".into(), "false".into())], ..PassThrough::default() };
        assert_eq!(key_of(&base, &impure), None);
        let unhashed = Metadata { locked: json!({}), ..base };
        assert_eq!(key_of(&unhashed, &PassThrough::default()), None);
    }
}
