//! A layer as a tree whose leaves know where they came from. Reading holds a tree
//! against its shape, so that every error can name key, layer and what was
//! expected; merging lets the stronger layer win, key by key.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::{PROBE_KEYS, Shape};
use super::source::Source;
use crate::error::{Failure, Result};
use crate::model::name::likeness;

/// A value with its origin, or a table of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A scalar or a list, which a stronger layer replaces whole.
    Leaf(Value, Source),
    /// A table, which is merged by key.
    Table(BTreeMap<String, Node>),
}

impl Default for Node {
    fn default() -> Self {
        Self::Table(BTreeMap::new())
    }
}

impl Node {
    /// Reads a layer. `path` is where the value stands in it.
    pub(super) fn read(shape: &Shape, value: Value, source: &Source, path: &[String]) -> Result<Self> {
        match (shape, value) {
            (Shape::Table(_) | Shape::Check(_) | Shape::Names(..), Value::Object(entries)) => {
                let mut table = BTreeMap::new();
                for (key, value) in entries {
                    let below = child(path, &key);
                    let shape = known(shape, &key, source, &below)?;
                    table.insert(key, Self::read(shape, value, source, &below)?);
                }
                Ok(Self::Table(table))
            }
            (shape, value) => {
                leaf(shape, &value, source, path)?;
                Ok(Self::Leaf(value, source.clone()))
            }
        }
    }

    /// Lays a stronger layer over this one.
    pub(super) fn merge(self, shape: &Shape, stronger: Self) -> Self {
        let (mut base, stronger) = match (self, stronger) {
            (Self::Table(base), Self::Table(stronger)) => (base, stronger),
            (_, stronger) => return stronger,
        };
        if matches!(shape, Shape::Check(_)) && PROBE_KEYS[..5].iter().any(|key| stronger.contains_key(*key)) {
            // Another probe: what belonged to the old one has no meaning for it.
            base.retain(|key, _| !PROBE_KEYS.contains(&key.as_str()));
        }
        for (key, over) in stronger {
            let merged = match (base.remove(&key), shape.at(&key)) {
                (Some(under), Some(shape)) => under.merge(shape, over),
                _ => over,
            };
            base.insert(key, merged);
        }
        Self::Table(base)
    }

    /// The values alone.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Leaf(value, _) => value.clone(),
            Self::Table(table) => {
                Value::Object(table.iter().map(|(key, node)| (key.clone(), node.value())).collect())
            }
        }
    }

    /// What is at this path.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Self> {
        match (path, self) {
            ([], _) => Some(self),
            ([key, rest @ ..], Self::Table(table)) => table.get(*key)?.get(rest),
            _ => None,
        }
    }

    /// The text and origin of the leaf at this path.
    pub(super) fn text(&self, path: &[&str]) -> Option<(&str, &Source)> {
        match self.get(path)? {
            Self::Leaf(value, source) => Some((value.as_str()?, source)),
            Self::Table(_) => None,
        }
    }

    /// Sets an entry of a table.
    pub(super) fn put(&mut self, key: &str, node: Self) {
        if let Self::Table(table) = self {
            table.insert(key.to_owned(), node);
        }
    }

    /// Takes out what is at this path.
    pub(super) fn remove(&mut self, path: &[&str]) -> Option<Self> {
        let Self::Table(table) = self else { return None };
        match path {
            [] => None,
            [key] => table.remove(*key),
            [key, rest @ ..] => table.get_mut(*key)?.remove(rest),
        }
    }

    /// Names of the entries, if this is a table.
    pub(super) fn keys(&self) -> Vec<String> {
        match self {
            Self::Table(table) => table.keys().cloned().collect(),
            Self::Leaf(..) => Vec::new(),
        }
    }

    /// Every leaf with its path, in order.
    pub(super) fn leaves(&self) -> Vec<(Vec<String>, &Value, &Source)> {
        match self {
            Self::Leaf(value, source) => vec![(Vec::new(), value, source)],
            Self::Table(table) => {
                let mut all = Vec::new();
                for (key, node) in table {
                    for (mut path, value, source) in node.leaves() {
                        path.insert(0, key.clone());
                        all.push((path, value, source));
                    }
                }
                all
            }
        }
    }
}

/// Takes `null` out of what came from Nix: there it means that nothing was said.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        other => other,
    }
}

/// A path as TOML would spell it.
pub(super) fn dotted(path: &[String]) -> String {
    let plain = |key: &str| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let keys = path.iter().map(|key| if plain(key) { key.clone() } else { format!("{key:?}") });
    keys.collect::<Vec<_>>().join(".")
}

/// The known key that is most like this one, if any is.
pub(super) fn nearest<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|other| (likeness(key, other), other));
    scored.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}

/// Where a value stands, to a user: a variable and a flag are their own key.
fn place(path: &[String], source: &Source) -> String {
    match source {
        Source::Variable(name) => name.clone(),
        Source::Flag(name) => (*name).to_owned(),
        _ => format!("{} in {source}", dotted(path)),
    }
}

fn child(path: &[String], key: &str) -> Vec<String> {
    path.iter().cloned().chain([key.to_owned()]).collect()
}

fn known(shape: &Shape, key: &str, source: &Source, path: &[String]) -> Result<&'static Shape> {
    if let Shape::Names(valid, below) = shape {
        return match valid(key) {
            Ok(()) => Ok(below),
            Err((why, help)) => {
                Err(Failure::usage(format!("{}: {key:?} is {why}", place(path, source))).help(help))
            }
        };
    }
    shape.at(key).ok_or_else(|| {
        let keys: Vec<&str> = shape.keys().iter().map(|(key, _)| *key).collect();
        let failure = Failure::usage(format!("unknown setting {} in {source}", dotted(path)));
        let list = format!("known here: {}", keys.join(", "));
        match nearest(key, keys) {
            Some(near) => failure.help(format!("did you mean {near:?}? {list}")),
            None => failure.help(list),
        }
    })
}

/// Holds a scalar or a list against its shape.
fn leaf(shape: &Shape, value: &Value, source: &Source, path: &[String]) -> Result<()> {
    let fits = match (shape, value) {
        (Shape::Text(valid) | Shape::TextOf(_, valid), Value::String(text)) => {
            return valid(text).map_err(|(why, help)| {
                Failure::usage(format!("{} is {text:?}, {why}", place(path, source))).help(help)
            });
        }
        (Shape::Number(least, most, _), Value::Number(number)) => {
            number.as_u64().is_some_and(|n| (*least..=*most).contains(&n))
        }
        (Shape::Flag, Value::Bool(_)) => true,
        (Shape::Choice(words), Value::String(text)) => words.contains(&text.as_str()),
        (Shape::List(item), Value::Array(values)) => {
            return values
                .iter()
                .enumerate()
                .try_for_each(|(i, value)| leaf(item, value, source, &child(path, &(i + 1).to_string())));
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Failure::usage(format!("{} is {}", place(path, source), found(value)))
        .help(format!("it must be {}", shape.expected())))
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}
