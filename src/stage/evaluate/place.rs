//! Which flake is meant: the nearest one around the current directory, the one the
//! user named, or a certain commit of either.

use camino::{Utf8Path, Utf8PathBuf};

use crate::error::{Failure, Result};
use crate::host::git::{self, Around};

/// The reference to hand to Nix. `flake` and `rev` are what the user gave with
/// `--flake` and `--rev`.
///
/// # Errors
/// When there is no flake, the commit is not known, or Nix could not read the name.
pub fn locate(flake: Option<&str>, rev: Option<&str>, cwd: &Utf8Path) -> Result<String> {
    let text = flake.unwrap_or(".");
    if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
        return Err(Failure::usage(format!("{text:?} is not a flake reference")).help(EXAMPLES));
    }
    if let Some((alone, output)) = text.split_once('#') {
        return Err(Failure::usage(format!("--flake takes a flake alone, without '#{output}'"))
            .help(format!("choose microVMs by name: deployvm push VM --flake {alone}")));
    }
    let is_path = text.starts_with('/') || text.starts_with('.');
    if !is_path || text.contains('?') {
        return match rev {
            Some(rev) => of_url(text, rev),
            None => Ok(text.to_owned()),
        };
    }
    // Without the `.` of `.` and `./here`, which nobody would write at the end of a path.
    let start: Utf8PathBuf = cwd.join(text).components().collect();
    let Some(dir) = git::nearest_flake(&start) else {
        let message = format!("no flake here: neither {start} nor a directory above it has a flake.nix");
        return Err(Failure::usage(message).help(
            "change to the directory of your flake, or name it with --flake; `deployvm init` starts a new one",
        ));
    };
    match rev {
        None if dir.as_str().contains(['#', '?', '%']) => Err(unreadable(&dir)),
        None => Ok(dir.into_string()),
        Some(rev) => of_directory(&dir, rev),
    }
}

const EXAMPLES: &str =
    "examples: . or /etc/nixos or github:owner/repository or git+ssh://git@host/repository";

fn of_directory(dir: &Utf8Path, rev: &str) -> Result<String> {
    let commit = git::resolve(dir, rev)?;
    let checkout = git::checkout(dir)?;
    let Some(git::Checkout { root, shallow, .. }) = checkout else {
        return Err(Failure::usage(format!("{dir} has no working tree, so --rev cannot be used")));
    };
    let below = dir.strip_prefix(&root).unwrap_or(Utf8Path::new(""));
    spelled(&root, &commit, None, shallow, below)
}

/// The flake below `dir` as it is in a commit of a repository, whatever is checked out.
///
/// # Errors
/// When Nix could not read the repository's name, or a bare one has no branch with it.
pub fn of_commit(around: &Around, dir: &Utf8Path, commit: &str) -> Result<String> {
    // Nix takes a directory with a .git for a repository, and reads any commit from it.
    if let Some(top) = around.worktree().filter(|top| around.is_around(top)) {
        return spelled(top, commit, None, around.is_shallow(), dir);
    }
    // From every other it fetches, and must be told a ref that leads to the commit.
    let common = around.common();
    let Some(by) = around.ref_with(commit)? else {
        return Err(Failure::usage(format!("no branch of {common} has the commit {commit}")).help(
            "Nix reads only commits with a branch from a bare repository: make one with `git branch`",
        ));
    };
    spelled(common, commit, Some(&by), around.is_shallow(), dir)
}

fn spelled(
    root: &Utf8Path,
    commit: &str,
    by: Option<&str>,
    shallow: bool,
    below: &Utf8Path,
) -> Result<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._~+@=,:-".contains(&b);
    let texts = [root.as_str(), by.unwrap_or_default(), below.as_str()];
    if !texts.iter().flat_map(|text| text.bytes()).all(plain) {
        return Err(unreadable(&root.join(below)));
    }
    let mut reference = format!("git+file://{root}?rev={commit}");
    if let Some(by) = by {
        reference.push_str("&ref=");
        reference.push_str(by);
    }
    // Without it, Nix refuses a history that was cut off.
    if shallow {
        reference.push_str("&shallow=1");
    }
    if !below.as_str().is_empty() {
        reference.push_str("&dir=");
        reference.push_str(below.as_str());
    }
    Ok(reference)
}

/// Nobody here can look names up in a repository elsewhere.
fn of_url(flake: &str, rev: &str) -> Result<String> {
    if rev.len() != 40 || !rev.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Failure::usage(format!("{rev:?} is not a full commit hash"))
            .help("for a flake elsewhere, give --rev all 40 digits, as `git rev-parse` prints them"));
    }
    let joint = if flake.contains('?') { '&' } else { '?' };
    Ok(format!("{flake}{joint}rev={rev}"))
}

fn unreadable(dir: &Utf8Path) -> Failure {
    Failure::usage(format!(
        "nix cannot use a flake in {dir:?}: its name has characters that mean something in a URL"
    ))
    .help("rename the directory, or use a clone elsewhere with --flake")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(temp.path().canonicalize().unwrap()).unwrap();
        std::fs::create_dir_all(root.join("repo/sub/deep")).unwrap();
        (temp, root)
    }

    #[test]
    fn finds_the_nearest_flake_upwards_but_not_above_the_repository() {
        let (_temp, root) = tree();
        let repo = root.join("repo");
        std::fs::write(root.join("flake.nix"), "{ }").unwrap();
        assert_eq!(locate(None, None, &repo.join("sub/deep")).unwrap(), root.as_str());
        git2::Repository::init(&repo).unwrap();
        let error = locate(None, None, &repo.join("sub/deep")).unwrap_err();
        let deep = repo.join("sub/deep");
        let message = |named: &Utf8Path| {
            format!("no flake here: neither {named} nor a directory above it has a flake.nix")
        };
        assert_eq!(error.message, message(&deep));
        // The path as anyone would write it, however it was typed.
        for typed in [".", "./", "./.", "../deep/."] {
            let error = locate(Some(typed), None, &deep).unwrap_err();
            let named = if typed.starts_with("..") { repo.join("sub/deep/../deep") } else { deep.clone() };
            assert_eq!(error.message, message(&named), "{typed}");
        }
        assert!(error.help.unwrap().contains("--flake"));
        std::fs::write(repo.join("sub/flake.nix"), "{ }").unwrap();
        assert_eq!(locate(Some("."), None, &repo.join("sub/deep")).unwrap(), repo.join("sub").as_str());
        assert_eq!(locate(Some("./sub"), None, &repo).unwrap(), repo.join("sub").as_str());
    }

    #[test]
    fn a_commit_becomes_part_of_the_reference() {
        let (_temp, root) = tree();
        let dir = root.join("repo/sub");
        std::fs::write(dir.join("flake.nix"), "{ }").unwrap();
        let repository = git2::Repository::init(root.join("repo")).unwrap();
        assert!(locate(None, Some("HEAD"), &dir).unwrap_err().message.contains("is no commit"));
        let who = git2::Signature::now("a", "a@b").unwrap();
        let empty = repository.find_tree(repository.index().unwrap().write_tree().unwrap()).unwrap();
        let commit = repository.commit(Some("HEAD"), &who, &who, "x", &empty, &[]).unwrap();
        let reference = locate(None, Some("HEAD"), &dir).unwrap();
        assert_eq!(reference, format!("git+file://{root}/repo?rev={commit}&dir=sub"));
        let hash = "1".repeat(40);
        assert_eq!(locate(Some("github:a/b"), Some(&hash), &dir).unwrap(), format!("github:a/b?rev={hash}"));
        assert!(locate(Some("github:a/b"), Some("main"), &dir).is_err());
    }

    #[test]
    fn refuses_what_nix_would_read_otherwise() {
        let (_temp, root) = tree();
        for bad in ["", "-f", ".#vm1", "a\nb"] {
            assert!(locate(Some(bad), None, &root).is_err(), "{bad:?}");
        }
        assert_eq!(locate(Some("github:a/b"), None, &root).unwrap(), "github:a/b");
    }
}
