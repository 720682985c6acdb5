//! New files, all or none, and never in the place of anything.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

/// Why nothing was written.
#[derive(Debug)]
pub enum NotWritten {
    /// These are there already.
    InTheWay(Vec<String>),
    /// This could not be written.
    Failed(Utf8PathBuf, io::Error),
}

/// Writes files, by their relative paths, below a directory.
///
/// # Errors
/// When one of them is there, or cannot be written: then none is left.
pub fn write(dir: &Utf8Path, files: &[(&str, &str)]) -> Result<(), NotWritten> {
    let mut ways: Vec<String> = files.iter().filter_map(|(path, _)| in_the_way(dir, path)).collect();
    ways.dedup();
    if !ways.is_empty() {
        return Err(NotWritten::InTheWay(ways));
    }
    for (index, (path, text)) in files.iter().enumerate() {
        let path = dir.join(path);
        if let Err(error) = write_one(&path, text) {
            // What we made is ours to remove; directories may stay.
            files.iter().take(index).for_each(|(path, _)| drop(fs::remove_file(dir.join(path))));
            return Err(NotWritten::Failed(path, error));
        }
    }
    Ok(())
}

/// The file itself, or what stands where one of its directories should.
fn in_the_way(dir: &Utf8Path, path: &str) -> Option<String> {
    let mut at = Utf8PathBuf::new();
    for part in path.split('/') {
        at.push(part);
        // Links are not followed: they lead out of the directory.
        match fs::symlink_metadata(dir.join(&at)) {
            Ok(there) if there.is_dir() && at != path => {}
            Ok(_) => return Some(at.into_string()),
            Err(_) => return None,
        }
    }
    None
}

fn write_one(path: &Utf8Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 3] = [("a", "1"), ("b/c/d", "2"), ("b/e", "3")];

    fn place() -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8PathBuf::from_path_buf(temp.path().to_path_buf()).unwrap();
        (temp, dir)
    }

    fn ways(dir: &Utf8Path) -> Vec<String> {
        match write(dir, &FILES) {
            Err(NotWritten::InTheWay(ways)) => ways,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn writes_all() {
        let (_temp, dir) = place();
        fs::create_dir(dir.join("b")).unwrap();
        write(&dir, &FILES).unwrap();
        assert_eq!(fs::read_to_string(dir.join("b/c/d")).unwrap(), "2");
        assert_eq!(ways(&dir), ["a", "b/c/d", "b/e"]);
    }

    #[test]
    fn writes_nothing_over_anything() {
        let (_temp, dir) = place();
        std::os::unix::fs::symlink("/nowhere", dir.join("a")).unwrap();
        assert_eq!(ways(&dir), ["a"]);
        std::os::unix::fs::symlink("/tmp", dir.join("b")).unwrap();
        assert_eq!(ways(&dir), ["a", "b"]);
        fs::remove_file(dir.join("b")).unwrap();
        fs::write(dir.join("b"), "mine").unwrap();
        assert_eq!(ways(&dir), ["a", "b"]);
        assert_eq!(fs::read_to_string(dir.join("b")).unwrap(), "mine");
    }

    #[test]
    fn what_fails_half_way_leaves_no_file() {
        let (_temp, dir) = place();
        // A name that no file system takes.
        let long = "x".repeat(300);
        let failed = write(&dir, &[("a", "1"), (&long, "2")]).unwrap_err();
        assert!(matches!(failed, NotWritten::Failed(path, _) if path.ends_with(&long)));
        assert!(!dir.join("a").exists());
    }
}
