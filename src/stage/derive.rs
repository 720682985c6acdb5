//! Reads how things are made: which derivations made them and what those say, and small
//! files in closures; in the store here, or in that of a hypervisor.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::host::{Host, process, script, store};
use crate::model::derivation::Derivation;
use crate::model::store_path::StorePath;
use crate::model::text::FoundText;
use crate::tool::nix::derivation::{MOST_BYTES, parse};
use crate::tool::nix::{PassThrough, build};

/// Store paths in one question: the longest have 255 bytes.
const MOST_ASKED: usize = 300;
/// Bytes in one answer, far below what an answer may have.
const MOST_ANSWERED: usize = 8 << 20;

/// A derivation, and how many bytes it took to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// What it says; `None` when it is not there, or cannot be understood.
    pub derivation: Option<Derivation>,
    /// Bytes.
    pub bytes: usize,
}

impl Read {
    fn of(text: &str) -> Self {
        Self { derivation: parse(text), bytes: text.len() }
    }
}

/// By which derivation the store here says that this was made. `options` are the user's
/// `--option NAME VALUE`.
pub async fn deriver_here(path: &StorePath, options: &[(String, String)]) -> Option<StorePath> {
    let pass = PassThrough { options: options.to_vec(), ..PassThrough::default() };
    // Who does not answer does not know.
    let output = process::run(&build::deriver(path, &pass)).await.ok().filter(|output| output.ok())?;
    derivation(&output.text())
}

/// The same of a hypervisor's store, for several.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn derivers_there(host: &Host, paths: &[StorePath]) -> Result<Vec<Option<StorePath>>> {
    let args: Vec<String> = paths.iter().map(ToString::to_string).collect();
    let reply = host.script(script::DERIVERS, &args).await?;
    let mut said = reply.fields.iter();
    Ok(paths.iter().map(|_| derivation(said.next()?)).collect())
}

fn derivation(text: &str) -> Option<StorePath> {
    text.trim().parse().ok().filter(StorePath::is_derivation)
}

/// Reads a derivation here.
pub fn read_here(path: &StorePath) -> Read {
    Read::of(&store::text(path, MOST_BYTES as u64).unwrap_or_default())
}

/// Reads the first of these derivations on a hypervisor: one at least, and as many as one
/// answer holds.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn read_there(host: &Host, paths: &[StorePath]) -> Result<Vec<(StorePath, Read)>> {
    let asked = paths.get(..MOST_ASKED).unwrap_or(paths);
    let mut args = vec![MOST_BYTES.to_string(), MOST_ANSWERED.to_string()];
    args.extend(asked.iter().map(ToString::to_string));
    let fields = host.script(script::DERIVATIONS, &args).await?.fields;
    if fields.is_empty() {
        // Whoever answers nothing at all has none of them.
        return Ok(asked.iter().map(|path| (path.clone(), Read::default())).collect());
    }
    Ok(asked.iter().cloned().zip(fields.iter().map(|text| Read::of(text))).collect())
}

/// The files of at most `most` bytes and the links in store paths, each of which is said
/// with its size; what is no text has characters that could not be decoded.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked.
pub async fn texts(host: &Host, paths: &BTreeMap<StorePath, u64>, most: u64) -> Result<Vec<FoundText>> {
    let mut found = Vec::new();
    for some in questions(paths) {
        let args = std::iter::once((most + 1).to_string()).chain(some.iter().map(ToString::to_string));
        let reply = host.script(script::TEXTS, &args.collect::<Vec<_>>()).await?;
        found.extend(reply.fields.chunks_exact(4).filter_map(|fields| match fields {
            [package, file, kind, text] => Some(FoundText {
                package: package.parse().ok()?,
                file: file.clone(),
                text: text.clone(),
                link: kind == "link",
            }),
            _ => None,
        }));
    }
    Ok(found)
}

/// Which paths are asked for together, so that each answer is far below what one may be.
fn questions(paths: &BTreeMap<StorePath, u64>) -> Vec<Vec<&StorePath>> {
    let mut all: Vec<Vec<&StorePath>> = Vec::new();
    let mut room = 0_u64;
    for (path, bytes) in paths {
        match all.last_mut().filter(|last| last.len() < MOST_ASKED && *bytes <= room) {
            Some(last) => last.push(path),
            None => {
                all.push(vec![path]);
                room = MOST_ANSWERED as u64;
            }
        }
        room = room.saturating_sub(*bytes);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_and_large_paths_are_asked_for_in_several_questions() {
        let paths = |count: usize, bytes: u64| -> BTreeMap<StorePath, u64> {
            let path = |n| format!("/nix/store/{n:032}-p").parse().unwrap();
            (0..count).map(|n| (path(n), bytes)).collect()
        };
        let lengths =
            |paths: &BTreeMap<StorePath, u64>| questions(paths).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&paths(0, 1)), Vec::<usize>::new());
        assert_eq!(lengths(&paths(MOST_ASKED + 1, 1)), [MOST_ASKED, 1]);
        assert_eq!(lengths(&paths(5, 4 << 20)), [2, 2, 1]);
        assert_eq!(lengths(&paths(2, u64::MAX)), [1, 1]);
    }
}
