//! Taking the hook away, whoever has moved it meanwhile.

use super::{BEFORE, HOOK, LEGACY, OLD, memory, owner_of, text_of, unwritable};
use crate::error::Result;
use crate::host::git::Around;
use crate::host::hooks;
use crate::model::hook::Removed;
use crate::tool::git::{Owner, SCRIPT, owner};

/// Puts back what was there, exactly, and forgets what was said to `install`. A hook that
/// somebody has changed is left, and does nothing of deployvm's any more.
///
/// # Errors
/// 12 when a file cannot be read, moved or removed.
pub fn uninstall(around: &Around) -> Result<Removed> {
    let dir = around.hooks()?;
    let script = memory::recall(around).ok().flatten().and_then(|known| known.script);
    let was_there = memory::forget(around)?;
    let mut removed = Removed::default();
    let users = memory::delist(around, &dir)?;
    if !users.is_empty() {
        removed.notes.push(format!("{} stays for {}", dir.join(HOOK), users.join(", ")));
        return Ok(removed);
    }
    let before = dir.join(BEFORE);
    for name in [HOOK, LEGACY, OLD] {
        let path = dir.join(name);
        let Some(text) = text_of(&path)?.filter(|text| owner(text) == Owner::Deployvm) else { continue };
        if text != SCRIPT.as_bytes() && script.as_ref() != Some(&super::digest(&text)) {
            removed.left.push(format!("{path} was changed since it was installed"));
            continue;
        }
        hooks::remove(&path).map_err(|e| unwritable(&path, &e))?;
        if name != OLD && text_of(&before)?.is_some() {
            hooks::rename(&before, &path).map_err(|e| unwritable(&path, &e))?;
            removed.restored = true;
        }
        removed.hook.get_or_insert_with(|| path.into());
    }
    let hook = dir.join(HOOK);
    if let Some(old) = text_of(&before)?.filter(|_| removed.left.is_empty()) {
        let now = text_of(&hook)?;
        let writes_anew = matches!(owner(&old), Owner::Lefthook | Owner::Husky);
        if now.is_none() {
            hooks::rename(&before, &hook).map_err(|e| unwritable(&hook, &e))?;
            removed.restored = true;
        } else if now.as_ref() == Some(&old) || (writes_anew && owner_of(&hook)? == Some(owner(&old))) {
            hooks::remove(&before).map_err(|e| unwritable(&before, &e))?;
        } else {
            removed.left.push(format!("{before} was there before, and {hook} is somebody else's now"));
        }
    }
    if removed.hook.is_none() && removed.left.is_empty() {
        removed.notes.push(
            if was_there { "the hook itself was gone already" } else { "no hook of deployvm is here" }
                .to_owned(),
        );
    }
    Ok(removed)
}
