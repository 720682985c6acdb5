//! Single files of the store on this machine, read without asking Nix.

use std::fs::File;
use std::io::Read as _;

use crate::model::store_path::StorePath;

/// The text of a store path that is one file, such as a derivation; `None` when it is not
/// here, is something else, or has more than `most` bytes.
pub fn text(path: &StorePath, most: u64) -> Option<String> {
    let found = std::fs::symlink_metadata(path.as_str()).ok()?;
    if !found.is_file() || found.len() > most {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path.as_str()).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
