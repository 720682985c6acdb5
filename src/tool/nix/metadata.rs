//! `nix flake metadata --json`: what a flake is locked to. Costs no evaluation, but
//! Nix 2.8 and 2.26 copy a dirty tree into the store to hash it: about as long as
//! `cp` takes.

use serde::Deserialize;
use serde_json::Value;

use super::PassThrough;
use crate::model::argv::Argv;

/// Asks what the flake is locked to.
pub fn metadata(flake: &str, pass: &PassThrough) -> Argv {
    super::on_flake(["flake", "metadata"], flake.to_owned(), pass, &["--json"])
}

/// The same as a user types it, to see all that Nix has to say.
pub fn traced(flake: &str, pass: &PassThrough) -> Argv {
    super::typed(["flake", "metadata", "--show-trace"], pass).arg(flake)
}

/// What a flake is locked to.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The locked URL.
    pub url: String,
    /// The commit, of a clean git tree.
    #[serde(default)]
    pub revision: Option<String>,
    /// `<commit>-dirty`, from Nix 2.26 on.
    #[serde(default)]
    pub dirty_revision: Option<String>,
    /// The locked reference; `narHash` in it is the content, of dirty trees too.
    pub locked: Value,
    /// The lock file as it is, or as it would be written.
    pub locks: Value,
}

impl Metadata {
    /// Whether the tree has uncommitted changes. Only git knows such a thing.
    pub fn dirty(&self) -> bool {
        self.locked.get("type").and_then(Value::as_str) == Some("git") && self.revision.is_none()
    }

    /// The commit; of a dirty tree its parent, where Nix tells.
    pub fn commit(&self) -> Option<String> {
        let dirty = self.dirty_revision.as_deref().map(|r| r.strip_suffix("-dirty").unwrap_or(r).to_owned());
        self.revision.clone().or(dirty)
    }

    /// The directory that the flake was read from, if it is on this machine.
    pub fn directory(&self) -> Option<String> {
        let text = |key| self.locked.get(key).and_then(Value::as_str);
        match text("type")? {
            "git" => {
                text("url")?.strip_prefix("file://").map(|u| u.split('?').next().unwrap_or(u).to_owned())
            }
            "path" => text("path").map(str::to_owned),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V8_DIRTY: &str = r#"{"lastModified":1795199951,"locked":{"lastModified":1795199951,"narHash":"sha256-m/ykrsGgoH9QP045OaRwTVJD3Z8r80TqhiHw/AN14YE=","type":"git","url":"file:///w/f?dir=sub","dir":"sub"},"locks":{"nodes":{"root":{}},"root":"root","version":7},"original":{"type":"git","url":"file:///w/f"},"originalUrl":"git+file:///w/f","path":"/nix/store/49c79qv5jw2prvm0fld0ghpz84sj02r8-source","resolved":{"type":"git","url":"file:///w/f"},"resolvedUrl":"git+file:///w/f","url":"git+file:///w/f"}"#;
    const V8_CLEAN: &str = r#"{"locked":{"narHash":"sha256-qu1=","ref":"main","rev":"11a19485222f692aeb698f2d04a73fc31770abb5","revCount":1,"type":"git","url":"file:///w/f"},"locks":{"nodes":{"root":{}},"root":"root","version":7},"revision":"11a19485222f692aeb698f2d04a73fc31770abb5","url":"git+file:///w/f?ref=main&rev=11a1"}"#;
    const V26_DIRTY: &str = r#"{"dirtyRevision":"11a19485222f692aeb698f2d04a73fc31770abb5-dirty","dirtyShortRev":"11a1948-dirty","fingerprint":"abc","locked":{"__final":true,"dirtyRev":"11a19485222f692aeb698f2d04a73fc31770abb5-dirty","narHash":"sha256-m/y=","type":"git","url":"file:///w/f"},"locks":{},"url":"git+file:///w/f"}"#;

    const V34_CLEAN: &str = r#"{"fingerprint":"820a4183b7e4","lastModified":1795212810,"locked":{"__final":true,"lastModified":1795212810,"narHash":"sha256-mtyCDBXi4JXZMqsPe3ecSbLAsaM4HT7a1lZ9x6p59gI=","ref":"refs/heads/main","rev":"11a19485222f692aeb698f2d04a73fc31770abb5","revCount":1,"type":"git","url":"file:///w/f"},"locks":{"nodes":{"root":{}},"root":"root","version":7},"original":{"type":"git","url":"file:///w/f"},"originalUrl":"git+file:///w/f","path":"/nix/store/9f63p3r4zn53sdy0h7fc019gk7dzmdp2-source","resolved":{"type":"git","url":"file:///w/f"},"resolvedUrl":"git+file:///w/f","revCount":1,"revision":"11a19485222f692aeb698f2d04a73fc31770abb5","url":"git+file:///w/f?ref=refs/heads/main&rev=11a1"}"#;
    const V34_DIRTY: &str = r#"{"dirtyRevision":"11a19485222f692aeb698f2d04a73fc31770abb5-dirty","fingerprint":"1ad22f908a17","lastModified":1795212810,"locked":{"__final":true,"dirtyRev":"11a19485222f692aeb698f2d04a73fc31770abb5-dirty","dirtyShortRev":"11a1948-dirty","lastModified":1795212810,"narHash":"sha256-sstCrd1aQ2mCf2Jw+HlIQrYou8CiHYBO1DBu3v0r3aM=","type":"git","url":"file:///w/f"},"locks":{"nodes":{"root":{}},"root":"root","version":7},"original":{"type":"git","url":"file:///w/f"},"path":"/nix/store/vakii00bq9m8sf40ry4nb5j3hsyk5sqf-source","url":"git+file:///w/f"}"#;

    fn read(text: &str) -> Metadata {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn tells_clean_from_dirty_in_every_version() {
        assert!(read(V8_DIRTY).dirty() && read(V8_DIRTY).commit().is_none());
        assert!(!read(V8_CLEAN).dirty());
        assert!(read(V26_DIRTY).dirty() && read(V34_DIRTY).dirty() && !read(V34_CLEAN).dirty());
        let commit = Some("11a19485222f692aeb698f2d04a73fc31770abb5".to_owned());
        assert_eq!(read(V8_CLEAN).commit(), commit);
        assert_eq!(read(V26_DIRTY).commit(), commit);
        assert_eq!((read(V34_DIRTY).commit(), read(V34_CLEAN).commit()), (commit.clone(), commit));
        assert_eq!(read(V34_CLEAN).directory().as_deref(), Some("/w/f"));
        assert_eq!(read(V8_DIRTY).directory().as_deref(), Some("/w/f"));
        let path = read(r#"{"url":"path:/w/f","locked":{"type":"path","path":"/w/f"},"locks":{}}"#);
        assert!(!path.dirty());
        assert_eq!(path.directory().as_deref(), Some("/w/f"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s:.){0,200}") {
            if let Ok(metadata) = serde_json::from_str::<Metadata>(&text) {
                let _ = (metadata.dirty(), metadata.commit(), metadata.directory());
            }
        }
    }
}
