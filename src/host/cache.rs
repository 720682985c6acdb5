//! Small JSON files in a directory of the user's own, such as
//! `~/.cache/deployvm`. What cannot be read is simply not there: a cache never makes
//! a command fail.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes of one file.
const MOST_BYTES: u64 = 8 << 20;
/// Most files that are kept; the oldest go.
const MOST_FILES: usize = 50;

/// Reads what was written under `key`; `None` when there is nothing usable.
pub fn read<T: DeserializeOwned>(dir: &Utf8Path, key: &str) -> Option<T> {
    let open = fs::metadata(dir).ok()?.permissions();
    if open.mode() & 0o022 != 0 {
        // Somebody else could have written what we are about to believe.
        return None;
    }
    let mut bytes = Vec::new();
    fs::File::open(file(dir, key)?).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Writes `value` under `key`, whole or not at all, and forgets the oldest files.
///
/// # Errors
/// When the directory cannot be made or written.
pub fn write<T: Serialize>(dir: &Utf8Path, key: &str, value: &T) -> io::Result<()> {
    let path = file(dir, key).ok_or_else(|| io::Error::other("not a key"))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let bytes = serde_json::to_vec(value)?;
    if bytes.len() as u64 >= MOST_BYTES {
        return Ok(());
    }
    // tempfile makes its files 0600.
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(&bytes)?;
    new.persist(&path).map_err(|e| e.error)?;
    prune(dir);
    Ok(())
}

/// A key is lower-case letters and digits: never a path.
fn file(dir: &Utf8Path, key: &str) -> Option<Utf8PathBuf> {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    plain.then(|| dir.join(format!("{key}.json")))
}

fn prune(dir: &Utf8Path) {
    let Ok(entries) = dir.read_dir_utf8() else { return };
    let mut files: Vec<(SystemTime, Utf8PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok().filter(|e| e.path().extension() == Some("json"))?;
            let time = entry.metadata().ok()?.modified().ok()?;
            Some((time, entry.path().to_owned()))
        })
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    for (_, old) in files.iter().skip(MOST_FILES) {
        // Another deployvm may have been faster.
        let _ = fs::remove_file(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Utf8PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8PathBuf::from_path_buf(temp.path().join("a/b")).unwrap();
        (temp, dir)
    }

    #[test]
    fn keeps_files_private_and_reads_them_back() {
        let (_temp, dir) = place();
        write(&dir, "k1", &vec![1, 2]).unwrap();
        assert_eq!(read::<Vec<u8>>(&dir, "k1"), Some(vec![1, 2]));
        let mode = |p: &Utf8Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("k1.json"))), (0o700, 0o600));
    }

    #[test]
    fn what_is_damaged_or_open_to_others_is_not_there() {
        let (_temp, dir) = place();
        assert_eq!(read::<u8>(&dir, "k"), None);
        write(&dir, "k", &7_u8).unwrap();
        fs::write(dir.join("k.json"), "{torn").unwrap();
        assert_eq!(read::<u8>(&dir, "k"), None);
        write(&dir, "k", &7_u8).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(read::<u8>(&dir, "k"), None);
    }

    #[test]
    fn a_key_is_never_a_path() {
        let (_temp, dir) = place();
        assert!(write(&dir, "../x", &1).is_err());
        assert_eq!(read::<u8>(&dir, "../x"), None);
    }

    #[test]
    fn forgets_the_oldest() {
        let (_temp, dir) = place();
        for n in 0..MOST_FILES + 3 {
            write(&dir, &format!("k{n}"), &n).unwrap();
        }
        assert_eq!(dir.read_dir_utf8().unwrap().count(), MOST_FILES);
        assert_eq!(read(&dir, &format!("k{}", MOST_FILES + 2)), Some(MOST_FILES + 2));
    }
}
