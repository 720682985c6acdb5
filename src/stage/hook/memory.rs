//! What `hook install` was told, in `deployvm/` below the git directory, and which
//! repositories use a hook in a directory that they share.

use camino::{Utf8Path, Utf8PathBuf};

use super::{text_of, unwritable};
use crate::error::{Failure, Result};
use crate::host::git::Around;
use crate::host::hooks;
use crate::model::hook::Remembered;

/// Below the directory that all working trees share; the script looks for these names.
const DIR: &str = "deployvm";
const SETTINGS: &str = "hook.json";
const PROGRAM: &str = "program";
/// What was deployed after pushes, and how it ended.
const LOG: &str = "deploy.log";
const OLDER_LOG: &str = "deploy.log.1";
/// How the last deployment ended that nobody has heard of yet.
const ENDED: &str = "ended";
/// A log that is longer begins anew.
const LONG_LOG: u64 = 1 << 20;
/// Git directories, one a line, beside a shared hook.
const USERS: &str = "pre-push.for-deployvm";

fn place(around: &Around) -> Utf8PathBuf {
    around.common().join(DIR)
}

/// What `hook install` was told, if it was ever run here.
///
/// # Errors
/// 2 when it cannot be read any more.
pub fn recall(around: &Around) -> Result<Option<Remembered>> {
    let path = place(around).join(SETTINGS);
    let Some(text) = text_of(&path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Failure::usage(format!("{path} is not what `deployvm hook install` writes: {error}"))
            .help("run `deployvm hook install` again, with the options that you want")
    })
}

/// Keeps it, for the user alone.
pub(super) fn write(around: &Around, remembered: &Remembered, program: &Utf8Path) -> Result<()> {
    let dir = place(around);
    hooks::make_dir(&dir, 0o700).map_err(|e| unwritable(&dir, &e))?;
    let text = serde_json::to_vec_pretty(remembered)
        .map_err(|e| Failure::bug(format!("the hook's settings cannot be written: {e}")))?;
    for (name, text) in [(PROGRAM, program.as_str().as_bytes()), (SETTINGS, &text)] {
        let path = dir.join(name);
        hooks::renew(&path, text, 0o600).map_err(|e| unwritable(&path, &e))?;
    }
    Ok(())
}

/// The log of deployments after pushes; its directory is there.
///
/// # Errors
/// 12 when a long one cannot be put aside.
pub fn log(around: &Around) -> Result<Utf8PathBuf> {
    let (log, older) = (place(around).join(LOG), place(around).join(OLDER_LOG));
    hooks::make_dir(&place(around), 0o700).map_err(|e| unwritable(&log, &e))?;
    if log.metadata().is_ok_and(|data| data.len() > LONG_LOG) {
        hooks::remove(&older).and_then(|()| hooks::rename(&log, &older)).map_err(|e| unwritable(&log, &e))?;
    }
    Ok(log)
}

/// Keeps how a deployment ended, for whoever pushes next.
///
/// # Errors
/// 12 when it cannot be written.
pub fn ended(around: &Around, how: &str) -> Result<()> {
    let path = place(around).join(ENDED);
    hooks::renew(&path, how.as_bytes(), 0o600).map_err(|e| unwritable(&path, &e))
}

/// How the last one ended, once.
///
/// # Errors
/// 12 when it cannot be read.
pub fn take_ended(around: &Around) -> Result<Option<String>> {
    let path = place(around).join(ENDED);
    let text = text_of(&path)?;
    if text.is_some() {
        hooks::remove(&path).map_err(|e| unwritable(&path, &e))?;
    }
    Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
}

/// Forgets it; whether there was anything.
pub(super) fn forget(around: &Around) -> Result<bool> {
    let dir = place(around);
    let there = text_of(&dir.join(SETTINGS))?.is_some();
    for name in [SETTINGS, PROGRAM, LOG, OLDER_LOG, ENDED] {
        let path = dir.join(name);
        hooks::remove(&path).map_err(|e| unwritable(&path, &e))?;
    }
    hooks::remove_dir(&dir);
    Ok(there)
}

/// The other repositories that use this shared hook, and still have settings for it.
fn others(around: &Around, hooks_dir: &Utf8Path) -> Result<Vec<String>> {
    let text = text_of(&hooks_dir.join(USERS))?.unwrap_or_default();
    let uses = |line: &&str| {
        let user = Utf8Path::new(*line);
        user != around.common() && user.join(DIR).join(SETTINGS).exists()
    };
    Ok(String::from_utf8_lossy(&text).lines().filter(uses).map(str::to_owned).collect())
}

/// Puts this repository on the list of a shared hook.
pub(super) fn enlist(around: &Around, hooks_dir: &Utf8Path) -> Result<()> {
    let mut users = others(around, hooks_dir)?;
    users.push(around.common().to_string());
    keep(hooks_dir, &users)
}

/// Takes it off the list; returns those that are still on it.
pub(super) fn delist(around: &Around, hooks_dir: &Utf8Path) -> Result<Vec<String>> {
    let users = others(around, hooks_dir)?;
    keep(hooks_dir, &users)?;
    Ok(users)
}

fn keep(hooks_dir: &Utf8Path, users: &[String]) -> Result<()> {
    let path = hooks_dir.join(USERS);
    let done = match users {
        [] => hooks::remove(&path),
        _ => hooks::renew(&path, format!("{}\n", users.join("\n")).as_bytes(), 0o644),
    };
    done.map_err(|e| unwritable(&path, &e))
}
