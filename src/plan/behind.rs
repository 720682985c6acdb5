//! Whether a wish is behind what a VM has: somebody deployed from a commit that the wish
//! does not contain. Which commit that was is in the ledger; whether one commit contains
//! another is the repository's to say (pipeline/behind.rs).

use crate::model::ledger::Entry;
use crate::model::name::VmName;
use crate::model::observed::Found;
use crate::model::store_path::StorePath;

/// Digits of a commit that people read.
const SHORT: usize = 9;

/// What a VM has that was deployed from a known commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `runs` or `is staged`.
    pub what: &'static str,
    /// The commit.
    pub revision: String,
    /// Who deployed it.
    pub who: Option<String>,
    /// When, RFC 3339.
    pub time: Option<String>,
}

/// How a commit and the wish belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lineage {
    /// The wish contains it.
    Contained,
    /// The wish does not.
    Missing,
    /// Nobody here can tell.
    Unknown,
}

/// Where that comes from which a deployment of `runner` would replace: what runs, and
/// what is staged.
pub fn origins(vm: &VmName, runner: &StorePath, found: &Found, ledger: &[Entry]) -> Vec<Origin> {
    let runs = found.booted_path().filter(|_| found.is_running());
    let both = [("runs", runs), ("is staged", found.staged())];
    let mut origins: Vec<Origin> = Vec::new();
    for (what, path) in both {
        let Some(path) = path.filter(|path| path != runner) else { continue };
        let Some(entry) = deployed(vm, &path, ledger) else { continue };
        let Some(revision) = entry.revision.clone() else { continue };
        if !origins.iter().any(|known| known.revision == revision) {
            origins.push(Origin { what, revision, who: entry.who.clone(), time: entry.time.clone() });
        }
    }
    origins
}

/// The ledger's newest line that says from which commit a runner came to a VM.
fn deployed<'a>(vm: &VmName, runner: &StorePath, ledger: &'a [Entry]) -> Option<&'a Entry> {
    ledger.iter().rev().find(|e| {
        let came = matches!(e.result.as_deref(), Some("deployed" | "staged")) || e.generation.is_some();
        e.vm == vm.as_str() && e.to.as_deref() == Some(runner.as_str()) && e.revision.is_some() && came
    })
}

impl Origin {
    /// What a user is told of it; nothing when all is well.
    pub fn remark(&self, lineage: Lineage, wish: Option<&str>) -> Option<String> {
        let Self { what, revision, who, time } = self;
        let short = |text: &str| text.get(..SHORT).unwrap_or(text).to_owned();
        let who = who.as_deref().unwrap_or("somebody");
        let when = time.as_ref().map(|time| format!(" at {time}")).unwrap_or_default();
        let deployed = format!("{who} deployed what {what}{when} from commit {}", short(revision));
        let wish = wish.map(|wish| format!(" (commit {})", short(wish))).unwrap_or_default();
        match lineage {
            Lineage::Contained => None,
            Lineage::Missing => Some(format!("{deployed}, which the wish{wish} does not contain")),
            Lineage::Unknown => {
                Some(format!("{deployed}; whether the wish{wish} contains that cannot be told here"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(c: char) -> StorePath {
        format!("/nix/store/{}-microvm-qemu-vm1", String::from(c).repeat(32)).parse().unwrap()
    }

    fn found(staged: char, booted: char, running: bool) -> Found {
        let active = if running { "active" } else { "inactive" };
        Found { current: Some(path(staged).to_string()), ..Found::example(active, path(booted).to_string()) }
    }

    fn entry(vm: &str, to: char, verb: &str, result: &str, revision: Option<&str>) -> Entry {
        let value = serde_json::json!({ "id": "x", "vm": vm, "to": path(to), "verb": verb, "result": result,
            "who": "me@laptop", "time": "2026-01-02T03:04:05Z", "revision": revision });
        serde_json::from_value(value).unwrap()
    }

    fn revisions(found: &Found, wanted: char, ledger: &[Entry]) -> Vec<(&'static str, String)> {
        let origins = origins(&"vm1".parse().unwrap(), &path(wanted), found, ledger);
        origins.into_iter().map(|o| (o.what, o.revision)).collect()
    }

    #[test]
    fn what_would_be_replaced_and_where_it_came_from() {
        let ledger = [
            entry("vm1", 'a', "push", "deployed", Some("1")),
            entry("vm1", 'b', "push", "deployed", Some("2")),
            entry("vm1", 'b', "push", "rolled-back", Some("3")),
            entry("vm2", 'b', "push", "deployed", Some("4")),
            entry("vm1", 'b', "start", "done", None),
        ];
        let owned = |what, text: &str| (what, text.to_owned());
        assert_eq!(revisions(&found('b', 'b', true), 'c', &ledger), [owned("runs", "2")]);
        let both = [owned("runs", "1"), owned("is staged", "2")];
        assert_eq!(revisions(&found('b', 'a', true), 'c', &ledger), both);
        // What stays is not asked about, nor what does not run.
        assert_eq!(revisions(&found('b', 'b', true), 'b', &ledger), []);
        assert_eq!(revisions(&found('b', 'a', false), 'c', &ledger), [owned("is staged", "2")]);
        // Nobody knows where that came from.
        assert_eq!(revisions(&found('x', 'x', true), 'c', &ledger), []);
        // Going back to it is what happened last.
        let back = [&ledger[..], &[entry("vm1", 'b', "rollback", "deployed", Some("5"))]].concat();
        assert_eq!(revisions(&found('b', 'b', true), 'c', &back), [owned("runs", "5")]);
    }

    #[test]
    fn the_words() {
        let origin = &origins(
            &"vm1".parse().unwrap(),
            &path('c'),
            &found('b', 'b', true),
            &[entry("vm1", 'b', "push", "deployed", Some("0123456789abcdef"))],
        )[0];
        let said = |lineage, wish| origin.remark(lineage, wish).unwrap_or_default();
        insta::assert_snapshot!([
            said(Lineage::Contained, Some("fedcba9876543210")),
            said(Lineage::Missing, Some("fedcba9876543210")),
            said(Lineage::Unknown, None),
        ].join("\n"), @r"

        me@laptop deployed what runs at 2026-01-02T03:04:05Z from commit 012345678, which the wish (commit fedcba987) does not contain
        me@laptop deployed what runs at 2026-01-02T03:04:05Z from commit 012345678; whether the wish contains that cannot be told here
        ");
    }
}
