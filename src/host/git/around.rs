//! The repository that a hook runs in, or is installed in: the one that git names in the
//! environment, or else the one around the current directory. Working trees, submodules
//! and bare repositories alike.

use camino::{Utf8Path, Utf8PathBuf};
use git2::{ErrorCode, Oid, Repository};

use super::{canonical, unreadable};
use crate::error::{Failure, Result};
use crate::host::machine;

/// A repository that was found.
pub struct Around {
    repository: Repository,
    common: Utf8PathBuf,
    worktree: Option<Utf8PathBuf>,
}

impl Around {
    /// Finds it.
    ///
    /// # Errors
    /// 2 when there is none, 10 when it cannot be read.
    #[expect(clippy::disallowed_methods, reason = "this is the door to repositories")]
    pub fn here() -> Result<Self> {
        let here = machine::current_dir()?;
        let named_by_git = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        // Not `open_from_env`: it takes a relative GIT_WORK_TREE for one below GIT_DIR.
        let found = match named_by_git("GIT_DIR") {
            Some(dir) => Repository::open(here.as_std_path().join(dir)),
            None => Repository::discover(&here),
        };
        let repository = match found {
            Ok(repository) => repository,
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Err(Failure::usage(format!("{here} is in no git repository"))
                    .help("change to the directory of your flake's repository"));
            }
            Err(error) => return Err(unreadable(&here, &error)),
        };
        let common = named(repository.commondir(), &here)?;
        let said = named_by_git("GIT_WORK_TREE").map(std::path::PathBuf::from);
        let worktree = said.as_deref().or(repository.workdir());
        let worktree = worktree.map(|dir| named(dir, &here)).transpose()?;
        Ok(Self { common, worktree, repository })
    }

    /// What all its working trees share: where hooks are, unless something else is said.
    pub fn common(&self) -> &Utf8Path {
        &self.common
    }

    /// The top of the working tree, if there is one.
    pub fn worktree(&self) -> Option<&Utf8Path> {
        self.worktree.as_deref()
    }

    /// Whether whoever looks for a repository in this directory finds this one.
    #[expect(clippy::disallowed_methods, reason = "this is the door to repositories")]
    pub fn is_around(&self, dir: &Utf8Path) -> bool {
        let found = dir.join(".git").exists().then(|| Repository::open(dir).ok()).flatten();
        found.is_some_and(|found| named(found.commondir(), dir).is_ok_and(|common| common == self.common))
    }

    /// Whether its history was cut off.
    pub fn is_shallow(&self) -> bool {
        self.repository.is_shallow()
    }

    /// `core.hooksPath` as it is written, if it is set anywhere.
    ///
    /// # Errors
    /// 10 when the configuration cannot be read.
    pub fn hooks_path(&self) -> Result<Option<String>> {
        let config = self.repository.config().and_then(|mut config| config.snapshot());
        let config = config.map_err(|error| unreadable(&self.common, &error))?;
        match config.get_string("core.hooksPath") {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(unreadable(&self.common, &error)),
        }
    }

    /// The directory in which git looks for hooks, which need not exist: `core.hooksPath`,
    /// below the top of the working tree where it is relative.
    ///
    /// # Errors
    /// 10 when the configuration cannot be read, 2 when it names no directory.
    pub fn hooks(&self) -> Result<Utf8PathBuf> {
        let Some(text) = self.hooks_path()? else { return Ok(self.common.join("hooks")) };
        let config = self.repository.config().map_err(|error| unreadable(&self.common, &error))?;
        let path = config.get_path("core.hooksPath").map_err(|error| unreadable(&self.common, &error))?;
        let base = match &self.worktree {
            Some(top) => top.clone(),
            None => named(self.repository.path(), &self.common)?,
        };
        match Utf8PathBuf::from_path_buf(path) {
            Ok(path) if !text.is_empty() => Ok(canonical(&base.join(path))),
            _ => Err(Failure::usage(format!("core.hooksPath is {text:?}, which names no directory"))
                .help("see where it is set with `git config --show-origin core.hooksPath`")),
        }
    }

    /// A file as it is in a commit; `None` where there is none.
    ///
    /// # Errors
    /// 10 when the commit is not here, or cannot be read.
    pub fn file(&self, commit: &str, path: &Utf8Path) -> Result<Option<Vec<u8>>> {
        let fail = |error: git2::Error| unreadable(&self.common, &error);
        let object = self.repository.find_object(Oid::from_str(commit).map_err(fail)?, None).map_err(fail)?;
        let tree = object.peel_to_tree().map_err(fail)?;
        let entry = match tree.get_path(path.as_std_path()) {
            Ok(entry) => entry,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let object = entry.to_object(&self.repository).map_err(fail)?;
        Ok(object.as_blob().map(|blob| blob.content().to_vec()))
    }

    /// A ref whose history has this commit, such as `refs/heads/main`.
    ///
    /// # Errors
    /// 10 when the repository cannot be read.
    pub fn ref_with(&self, commit: &str) -> Result<Option<String>> {
        let fail = |error: git2::Error| unreadable(&self.common, &error);
        let commit = Oid::from_str(commit).map_err(fail)?;
        let mut tips = Vec::new();
        for reference in self.repository.references().map_err(fail)? {
            let reference = reference.map_err(fail)?;
            let (Ok(name), Ok(tip)) = (reference.name(), reference.peel_to_commit()) else { continue };
            tips.push((tip.id(), name.to_owned()));
        }
        let contains =
            |tip: Oid| tip == commit || self.repository.graph_descendant_of(tip, commit).unwrap_or(false);
        // The tip itself costs nothing to find.
        tips.sort_by_key(|(tip, _)| *tip != commit);
        Ok(tips.into_iter().find(|(tip, _)| contains(*tip)).map(|(_, name)| name))
    }
}

fn named(path: &std::path::Path, base: &Utf8Path) -> Result<Utf8PathBuf> {
    let path = Utf8Path::from_path(path);
    let path = path.ok_or_else(|| Failure::usage("the repository's path is not UTF-8"))?;
    Ok(canonical(&base.join(path)))
}
