//! `deployvm.toml`: where it is and what it says. It stands beside the `flake.nix`
//! of a flake in a local directory; a flake from elsewhere has no such file.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::node::{Node, nearest};
use super::shape::{FILE, SETTINGS};
use super::source::{FILE_NAME, Source};
use crate::error::{Failure, Result};

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Its settings outside of environments.
    pub(super) layer: Node,
    /// The environments in it.
    environments: Vec<(String, Value)>,
    /// Whether there is a file.
    exists: bool,
}

/// The directory whose `flake.nix` a reference means: for none, and for a path, the
/// first one upwards that has one, not leaving the git repository (as Nix does it).
/// `None` when the flake is not in a local directory, or not there.
pub fn flake_root(reference: Option<&str>, here: &Utf8Path) -> Option<Utf8PathBuf> {
    let (path, query) = match reference.unwrap_or(".").split_once('?') {
        Some((path, query)) => (path, query),
        None => (reference.unwrap_or("."), ""),
    };
    let path =
        ["git+file://", "git+file:", "path:"].iter().find_map(|p| path.strip_prefix(p)).unwrap_or(path);
    if !path.starts_with(['.', '/']) {
        return None;
    }
    let mut start = here.join(path);
    if let Some(dir) = query.split('&').find_map(|pair| pair.strip_prefix("dir=")) {
        start.push(dir);
    }
    let start = start.canonicalize_utf8().ok()?;
    for dir in start.ancestors() {
        if dir.join("flake.nix").is_file() {
            return Some(dir.to_owned());
        }
        if dir.join(".git").exists() {
            return None;
        }
    }
    None
}

/// Reads the file at the flake's root, if there is one.
pub(super) fn read(root: Option<&Utf8Path>) -> Result<File> {
    let Some(path) = root.map(|root| root.join(FILE_NAME)) else { return Ok(File::default()) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => {
            return Err(Failure::usage(format!("cannot read {path}: {error}"))
                .help("make it a readable UTF-8 file, or remove it"));
        }
    };
    parse(&text, path.as_str())
}

/// The same for the text of a commit's file; `path` is what a user calls it.
pub(super) fn committed(text: Option<&[u8]>, path: &str) -> Result<File> {
    let Some(text) = text else { return Ok(File::default()) };
    let text = std::str::from_utf8(text);
    parse(text.map_err(|_| Failure::usage(format!("{path} is not UTF-8")))?, path)
}

fn parse(text: &str, path: &str) -> Result<File> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        Failure::usage(format!("{FILE_NAME} is not valid TOML: {}", error.message().to_lowercase()))
            .output(&error.to_string())
            .help(format!("correct {path}"))
    })?;
    let mut value = json(toml::Value::Table(table));
    Node::read(&FILE, value.clone(), &Source::File, &[])?;
    let environments = match value.as_object_mut().and_then(|table| table.remove("environments")) {
        Some(Value::Object(environments)) => environments.into_iter().collect(),
        _ => Vec::new(),
    };
    Ok(File { layer: Node::read(&SETTINGS, value, &Source::File, &[])?, environments, exists: true })
}

impl File {
    /// The names of all environments.
    pub(super) fn environments(&self) -> Vec<String> {
        self.environments.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The layer of this environment.
    pub(super) fn environment(&self, name: &str) -> Result<Node> {
        let Some((_, value)) = self.environments.iter().find(|(known, _)| known == name) else {
            let failure = Failure::usage(format!("there is no environment {name:?} in {FILE_NAME}"));
            if !self.exists {
                return Err(failure.help(format!(
                    "there is no {FILE_NAME} at the flake's root: make one, or leave out --env and DEPLOYVM_ENV"
                )));
            }
            let known: Vec<&str> = self.environments.iter().map(|(known, _)| known.as_str()).collect();
            return Err(match nearest(name, known.iter().copied()) {
                Some(near) => failure.help(format!("did you mean {near:?}? known: {}", known.join(", "))),
                None if known.is_empty() => failure.help(format!("write a table [environments.{name}]")),
                None => failure.help(format!("known: {}", known.join(", "))),
            });
        };
        Node::read(&SETTINGS, value.clone(), &Source::Environment(name.to_owned()), &[])
    }
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
    }
}
