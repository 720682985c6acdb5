//! Looks at the repository around a flake. Never writes, never fetches.

mod around;

pub use around::Around;

use camino::{Utf8Path, Utf8PathBuf};
use git2::{ErrorCode, Oid, Repository, StatusOptions};

use crate::error::{Aftermath, Failure, Result};

/// Most untracked files that are named.
const MOST_UNTRACKED: usize = 100;

/// What git tells a hook about the repository that it is run for, and an alias or
/// `rebase --exec` about theirs (`git rev-parse --local-env-vars`). Every git below ours,
/// such as the one that Nix starts, is about another one.
pub const OF_A_REPOSITORY: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    // Of `git -c`. GIT_CONFIG_COUNT stays: git never sets it, only users do.
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// The repository around a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkout {
    /// Where its working tree begins.
    pub root: Utf8PathBuf,
    /// The commit that is checked out; `None` before the first.
    pub revision: Option<String>,
    /// URL of the remote of the current branch, or else of `origin`.
    pub remote: Option<String>,
    /// Its history was cut off.
    pub shallow: bool,
}

/// What git says about the files below a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tracked files differ from the commit.
    pub dirty: bool,
    /// Files that a flake cannot see, relative to the repository's root; at most 100.
    pub untracked: Vec<Utf8PathBuf>,
}

/// The directory upwards from `start` that has a `flake.nix`, no further than the
/// repository's root.
pub fn nearest_flake(start: &Utf8Path) -> Option<Utf8PathBuf> {
    for dir in start.canonicalize_utf8().ok()?.ancestors() {
        if dir.join("flake.nix").is_file() {
            return Some(dir.to_owned());
        }
        if dir.join(".git").exists() {
            return None;
        }
    }
    None
}

/// The repository around `dir`; `None` when there is none.
///
/// # Errors
/// When there is one that cannot be read.
pub fn checkout(dir: &Utf8Path) -> Result<Option<Checkout>> {
    let Some(repository) = open(dir)? else { return Ok(None) };
    let Some(root) = root(&repository) else { return Ok(None) };
    let head = repository.head().ok();
    let revision = head.as_ref().and_then(|h| h.peel_to_commit().ok()).map(|c| c.id().to_string());
    let upstream = head.as_ref().and_then(|h| h.name().ok().map(str::to_owned));
    let upstream = upstream.and_then(|name| repository.branch_upstream_remote(&name).ok());
    let upstream = upstream.as_ref().and_then(|b| b.as_str().ok()).unwrap_or("origin");
    let remote = repository.find_remote(upstream).ok();
    let remote = remote.and_then(|r| r.url().ok().map(str::to_owned));
    Ok(Some(Checkout { root, revision, remote, shallow: repository.is_shallow() }))
}

/// What has changed below `dir`. Reads the whole tree there.
///
/// # Errors
/// When the repository cannot be read.
pub fn changes(dir: &Utf8Path) -> Result<Changes> {
    let Some(repository) = open(dir)? else { return Ok(Changes::default()) };
    let Some(root) = root(&repository) else { return Ok(Changes::default()) };
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(false);
    if let Some(below) = canonical(dir).strip_prefix(&root).ok().filter(|p| !p.as_str().is_empty()) {
        options.pathspec(below.as_str()).disable_pathspec_match(true);
    }
    let statuses = repository.statuses(Some(&mut options)).map_err(|e| unreadable(dir, &e))?;
    let mut changes = Changes::default();
    for entry in &statuses {
        if !entry.status().is_wt_new() {
            changes.dirty = true;
        } else if let Some(path) = entry.path().ok().filter(|_| changes.untracked.len() < MOST_UNTRACKED) {
            changes.untracked.push(path.into());
        }
    }
    Ok(changes)
}

/// The full hash of the commit that `name` stands for, as `git rev-parse` reads it.
///
/// # Errors
/// When `dir` is in no repository, or the name stands for no commit.
pub fn resolve(dir: &Utf8Path, name: &str) -> Result<String> {
    let repository = open(dir)?.ok_or_else(|| {
        Failure::usage(format!("{dir} is in no git repository, so it has no commit {name}"))
            .help("leave out --rev, or name a flake in a repository with --flake")
    })?;
    let commit = repository.revparse_single(name).and_then(|object| object.peel_to_commit());
    let commit = commit.map_err(|_| {
        Failure::usage(format!("{name} is no commit of {dir}"))
            .help("look for it with `git log`, or fetch it first with `git fetch`")
    })?;
    Ok(commit.id().to_string())
}

/// Whether the history of the commit `wish` has `commit` in it; `None` where the
/// repository around `dir` cannot tell: there is none, it does not have the wish, or its
/// history was cut off.
///
/// # Errors
/// When there is a repository that cannot be read.
pub fn contains(dir: &Utf8Path, wish: &str, commit: &str) -> Result<Option<bool>> {
    let Some(repository) = open(dir)? else { return Ok(None) };
    let (Ok(wish), Ok(commit)) = (Oid::from_str(wish), Oid::from_str(commit)) else { return Ok(None) };
    if repository.find_commit(wish).is_err() {
        return Ok(None);
    }
    let there = repository.find_commit(commit).is_ok();
    let contained = wish == commit || (there && descends(&repository, dir, wish, commit)?);
    Ok(if contained || !repository.is_shallow() { Some(contained) } else { None })
}

fn descends(repository: &Repository, dir: &Utf8Path, wish: Oid, commit: Oid) -> Result<bool> {
    repository.graph_descendant_of(wish, commit).map_err(|e| unreadable(dir, &e))
}

#[expect(clippy::disallowed_methods, reason = "this is the door to repositories")]
fn open(dir: &Utf8Path) -> Result<Option<Repository>> {
    match Repository::discover(dir) {
        Ok(repository) => Ok(Some(repository)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(unreadable(dir, &error)),
    }
}

fn root(repository: &Repository) -> Option<Utf8PathBuf> {
    let root = Utf8Path::from_path(repository.workdir()?)?;
    Some(canonical(root))
}

/// Without links and without a final slash.
fn canonical(path: &Utf8Path) -> Utf8PathBuf {
    path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned())
}

fn unreadable(dir: &Utf8Path, error: &git2::Error) -> Failure {
    let text = format!("cannot read the git repository of {dir}: {}", error.message());
    let failure = Failure::new(Aftermath::NotBuilt, text);
    if error.code() == ErrorCode::Owner {
        return failure.help(format!(
            "it belongs to another user: change its owner, or trust it with \
             git config --global --add safe.directory {dir}"
        ));
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Utf8PathBuf, Repository) {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(temp.path().canonicalize().unwrap()).unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        let repository = Repository::init(&root).unwrap();
        (temp, root, repository)
    }

    fn commit(repository: &Repository, file: &str) -> String {
        let mut index = repository.index().unwrap();
        index.add_path(file.as_ref()).unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let who = git2::Signature::now("test", "test@example.org").unwrap();
        repository.commit(Some("HEAD"), &who, &who, "test", &tree, &[]).unwrap().to_string()
    }

    #[test]
    fn tells_root_commit_and_remote() {
        let (_temp, root, repository) = tree();
        let none = checkout(&root).unwrap().unwrap();
        assert_eq!(none, Checkout { root: root.clone(), ..Checkout::default() });
        std::fs::write(root.join("x"), "1").unwrap();
        let id = commit(&repository, "x");
        repository.remote("origin", "git@example.org:infra").unwrap();
        let checkout = checkout(&root.join("a/b")).unwrap().unwrap();
        assert_eq!(checkout.root, root);
        assert_eq!(checkout.revision.as_deref(), Some(id.as_str()));
        assert_eq!(checkout.remote.as_deref(), Some("git@example.org:infra"));
        assert_eq!(resolve(&root, "HEAD").unwrap(), id);
        assert_eq!(resolve(&root, &id[..10]).unwrap(), id);
        assert_eq!(resolve(&root, "nothing").unwrap_err().aftermath, Aftermath::Usage);
    }

    #[test]
    fn tells_whether_one_commit_contains_another() {
        let (_temp, root, repository) = tree();
        let mut commits = Vec::new();
        for text in ["1", "2"] {
            std::fs::write(root.join("x"), text).unwrap();
            let parents: Vec<_> = repository.head().iter().filter_map(|h| h.peel_to_commit().ok()).collect();
            let mut index = repository.index().unwrap();
            index.add_path("x".as_ref()).unwrap();
            let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
            let who = git2::Signature::now("test", "test@example.org").unwrap();
            let parents: Vec<_> = parents.iter().collect();
            let id = repository.commit(Some("HEAD"), &who, &who, text, &tree, &parents).unwrap();
            commits.push(id.to_string());
        }
        let [first, second] = [&commits[0], &commits[1]];
        let nobodys = "1".repeat(40);
        assert_eq!(contains(&root, second, first).unwrap(), Some(true));
        assert_eq!(contains(&root, second, second).unwrap(), Some(true));
        assert_eq!(contains(&root, first, second).unwrap(), Some(false));
        assert_eq!(contains(&root, first, &nobodys).unwrap(), Some(false));
        assert_eq!(contains(&root, &nobodys, first).unwrap(), None);
        assert_eq!(contains(&root, first, "no commit").unwrap(), None);
        // Of a history that was cut off nobody knows what it would have.
        std::fs::write(root.join(".git/shallow"), format!("{second}\n")).unwrap();
        assert_eq!(contains(&root, second, second).unwrap(), Some(true));
        assert_eq!(contains(&root, second, &nobodys).unwrap(), None);
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(contains(Utf8Path::from_path(temp.path()).unwrap(), first, second).unwrap(), None);
    }

    #[test]
    fn tells_what_a_flake_cannot_see() {
        let (_temp, root, repository) = tree();
        for (file, text) in
            [("x", "1"), ("a/b/new.nix", "2"), ("top.nix", "3"), (".gitignore", "*.log"), ("a/x.log", "")]
        {
            std::fs::write(root.join(file), text).unwrap();
        }
        commit(&repository, "x");
        let below = changes(&root.join("a")).unwrap();
        assert_eq!(below, Changes { dirty: false, untracked: vec!["a/b/new.nix".into()] });
        std::fs::write(root.join("x"), "other").unwrap();
        let all = changes(&root).unwrap();
        assert!(all.dirty);
        assert_eq!(all.untracked, [".gitignore", "a/b/new.nix", "top.nix"]);
    }

    #[test]
    fn no_repository_is_no_error() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(temp.path()).unwrap();
        assert_eq!(checkout(dir).unwrap(), None);
        assert_eq!(changes(dir).unwrap(), Changes::default());
        assert_eq!(resolve(dir, "HEAD").unwrap_err().aftermath, Aftermath::Usage);
    }
}
