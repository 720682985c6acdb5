//! Files to which text is appended, such as the summary of a pipeline's step.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use camino::Utf8Path;

/// Appends to a file; it and its directory are made if they are missing.
///
/// # Errors
/// A sentence, when it cannot be written.
pub fn append(file: &Utf8Path, text: &str) -> Result<(), String> {
    let write = || {
        if let Some(parent) = file.parent().filter(|parent| !parent.as_str().is_empty()) {
            fs::create_dir_all(parent)?;
        }
        // In one piece, and at the end, whoever else writes.
        OpenOptions::new().append(true).create(true).open(file)?.write_all(text.as_bytes())
    };
    write().map_err(|error| format!("the summary could not be written to {file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_and_makes_what_is_missing() {
        let temp = tempfile::tempdir().unwrap();
        let file = camino::Utf8PathBuf::from_path_buf(temp.path().join("a/b.md")).unwrap();
        append(&file, "1\n").unwrap();
        append(&file, "2\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "1\n2\n");
        let below = file.join("c");
        assert!(append(&below, "").unwrap_err().starts_with("the summary could not be written to /"));
    }
}
