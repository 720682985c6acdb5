//! Files in a directory of git hooks, and what is kept beside the repository for them.
//! Nothing is ever written over: a file is made where there is none, or moved.

use std::fs::{self, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};

/// Most bytes that are read of a hook.
const MOST_BYTES: u64 = 4 << 20;

/// The text of a file; of a link that leads nowhere, and of what is no file, nothing.
/// `None` where there is nothing at all.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Utf8Path) -> io::Result<Option<Vec<u8>>> {
    match path.symlink_metadata() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    if !path.is_file() {
        return Ok(Some(Vec::new()));
    }
    let mut text = Vec::new();
    fs::File::open(path)?.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Makes a directory and those above it.
///
/// # Errors
/// When it cannot be made.
pub fn make_dir(path: &Utf8Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Writes a file whole where there is none.
///
/// # Errors
/// When there is something, or it cannot be written.
pub fn put(path: &Utf8Path, text: &[u8], mode: u32) -> io::Result<()> {
    prepared(path, text, mode)?.persist_noclobber(path).map(drop).map_err(|e| e.error)
}

/// Writes a file of deployvm's own anew, whole.
///
/// # Errors
/// When it cannot be written.
pub fn renew(path: &Utf8Path, text: &[u8], mode: u32) -> io::Result<()> {
    prepared(path, text, mode)?.persist(path).map(drop).map_err(|e| e.error)
}

fn prepared(path: &Utf8Path, text: &[u8], mode: u32) -> io::Result<tempfile::NamedTempFile> {
    let dir = path.parent().unwrap_or(path);
    let mut file = tempfile::Builder::new().prefix(".deployvm-").tempfile_in(dir)?;
    file.write_all(text)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Gives a file another name in its directory, as it is.
///
/// # Errors
/// When there is something of that name already, or it cannot be moved.
pub fn rename(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Takes a file away; that there is none is fine.
///
/// # Errors
/// When it cannot be.
pub fn remove(path: &Utf8Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Takes a directory away if it is empty.
pub fn remove_dir(path: &Utf8Path) {
    // Somebody else's files keep it.
    let _ = fs::remove_dir(path);
}

/// Whether git would run it.
pub fn is_executable(path: &Utf8Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Where this program is for later calls: the name by which it was started, so that a
/// link to the newest version stays one.
pub fn program() -> Option<Utf8PathBuf> {
    let started = std::env::args_os().next()?;
    let found = which::which(&started).or_else(|_| std::env::current_exe()).ok()?;
    Utf8PathBuf::from_path_buf(found).ok().filter(|path| path.is_absolute())
}

/// All of stdin, lossily decoded; `None` where somebody would have to type it.
///
/// # Errors
/// When it cannot be read.
pub fn stdin() -> io::Result<Option<String>> {
    use std::io::IsTerminal as _;
    if io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}
