//! Signatures of store paths: the key file that `--sign-key` names, signing with it, and
//! which paths of a listing nobody has signed whom a store trusts.

use base64::prelude::{BASE64_STANDARD, Engine};
use camino::{Utf8Path, Utf8PathBuf};

use super::PassThrough;
use crate::model::argv::Argv;
use crate::model::store_path::StorePath;

/// A key to sign with. The secret itself stays in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    file: Utf8PathBuf,
    public: String,
}

impl SigningKey {
    /// Reads what `nix key generate-secret` writes: `name:` and 64 bytes in base64, the
    /// last 32 of which are the public key. `None` when it is something else.
    pub fn read(file: &Utf8Path, text: &str) -> Option<Self> {
        let (name, secret) = text.trim().split_once(':')?;
        let bytes = BASE64_STANDARD.decode(secret.trim()).ok().filter(|bytes| bytes.len() == 64)?;
        let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        let public = format!("{name}:{}", BASE64_STANDARD.encode(bytes.get(32..)?));
        named.then(|| Self { file: file.to_owned(), public })
    }

    /// As `trusted-public-keys` has it.
    pub fn public(&self) -> &str {
        &self.public
    }
}

/// Signs paths and their closures in the local store.
pub fn sign<'a>(
    key: &SigningKey,
    pass: &PassThrough,
    paths: impl IntoIterator<Item = &'a StorePath>,
) -> Argv {
    let argv = super::nix(["store", "sign", "--recursive", "--key-file", key.file.as_str()]);
    super::options(argv, pass).args(paths.into_iter().map(StorePath::as_str))
}

/// Asks who has signed the closures of paths in the local store.
pub fn signatures<'a>(paths: impl IntoIterator<Item = &'a StorePath>, pass: &PassThrough) -> Argv {
    let argv = super::options(super::nix(["path-info", "--recursive", "--sigs"]), pass);
    argv.args(paths.into_iter().map(StorePath::as_str))
}

/// The paths of such a listing that a store with these keys takes from trusted users only.
/// `/nix/store/…-name<blanks>\tultimate ca:… cache.nixos.org-1:…`; what is addressed by
/// its content needs no signature. Keys are told apart by their names alone: Nix verifies.
pub fn unsigned(listing: &str, keys: &[String]) -> Vec<StorePath> {
    let trusted = |word: &str| {
        let name = word.split_once(':').map(|(name, _)| name);
        name == Some("ca") || keys.iter().any(|key| key.split_once(':').map(|(name, _)| name) == name)
    };
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let path: StorePath = words.next()?.parse().ok()?;
        (!words.any(|word| word.contains(':') && trusted(word))).then_some(path)
    };
    listing.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Made for this test with `nix key generate-secret` and `nix key convert-secret-to-public`.
    const SECRET: &str =
        "lab-1:aqvlM3dsAOHstZfThr5pJkuVzr1Z8xF3O0CNklFzAmZ55RtmC4HGKZ4/Xzfuv0Q916pU5b64sdHyTZR+31axBw==";
    const PUBLIC: &str = "lab-1:eeUbZguBximeP1837r9EPdeqVOW+uLHR8k2Uft9WsQc=";

    #[test]
    fn a_secret_key_has_its_public_one_in_it() {
        let key = SigningKey::read("/k".into(), &format!("{SECRET}\n")).unwrap();
        assert_eq!(key.public(), PUBLIC);
        assert!(!format!("{key:?}").contains(SECRET));
        for wrong in ["", "name:", "name:AAAA", PUBLIC, &SECRET.replace(':', ""), "a b:AAAA"] {
            assert_eq!(SigningKey::read("/k".into(), wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_nobody_trusted_has_signed() {
        // Nix 2.8.0, 2.26.3 and 2.34.8 alike.
        let listing = "\
/nix/store/0123456789abcdfghijklmnpqrsvwxyz-built                 \tultimate
/nix/store/1123456789abcdfghijklmnpqrsvwxyz-source                \tca:fixed:r:sha256:0abc
/nix/store/2123456789abcdfghijklmnpqrsvwxyz-fetched               \tcache.nixos.org-1:c2ln
/nix/store/3123456789abcdfghijklmnpqrsvwxyz-bare                  \t
/nix/store/4123456789abcdfghijklmnpqrsvwxyz-other                 \tultimate other:c2ln mine:c2ln
";
        let names = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            let left = unsigned(listing, &keys);
            left.iter().map(|path| path.name().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&[]), "built fetched bare other");
        assert_eq!(names(&["cache.nixos.org-1:key", "mine:key"]), "built bare");
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s:.){0,200}") {
            let _ = unsigned(&text, &["a:b".to_owned()]);
            let _ = SigningKey::read("/k".into(), &text);
        }
    }
}
