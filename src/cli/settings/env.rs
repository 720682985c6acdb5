//! The `DEPLOYVM_*` environment variables as a layer of settings. What follows the
//! prefix is a path whose parts are separated by two underscores: keys of the
//! settings in any case (`DEPLOYVM_DEFAULTS__SETTLE`), names exactly as they are
//! (`DEPLOYVM_VMS__vm2__ADDRESS`; a name that itself has two underscores cannot be
//! written this way). Lists are separated by commas, or JSON when they start with
//! `[`. An empty variable counts as absent.

use std::ffi::OsString;

use serde_json::Value;

use super::node::{Node, nearest};
use super::shape::{SETTINGS, Shape};
use super::source::Source;
use crate::error::{Failure, Result};
use crate::model::access;

/// What every variable of deployvm starts with.
const PREFIX: &str = "DEPLOYVM_";

/// The variable that chooses the environment when no flag does.
pub const ENVIRONMENT: &str = "DEPLOYVM_ENV";

/// Variables that steer deployvm and are no settings.
pub const CONTROL: [&str; 6] = [
    ENVIRONMENT,
    "DEPLOYVM_SKIP",
    access::KEY,
    access::KEY_FILE,
    access::KNOWN_HOSTS,
    access::KNOWN_HOSTS_FILE,
];

/// Whether `DEPLOYVM_SKIP` says that the git hook shall do nothing: anything but nothing
/// and 0.
#[expect(clippy::disallowed_methods, reason = "the environment is read in cli::settings")]
pub fn skips() -> bool {
    std::env::var("DEPLOYVM_SKIP").is_ok_and(|value| !matches!(value.trim(), "" | "0"))
}

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// `DEPLOYVM_ENV`, if it is not empty.
    pub(super) environment: Option<String>,
    /// All settings in it, merged.
    pub(super) layer: Node,
}

/// Reads the variables that are deployvm's.
pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Variables> {
    let mut ours = Vec::new();
    for (name, value) in variables {
        // A name that is not text is nobody's that we know.
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Ok(value) = value.into_string() else {
            return Err(Failure::usage(format!("the variable {name} is not UTF-8")).help("unset it"));
        };
        if !value.trim().is_empty() {
            ours.push((name.to_owned(), value));
        }
    }
    // One order on every machine, should two spellings name the same key.
    ours.sort();
    let mut read = Variables::default();
    for (name, value) in ours {
        if name == ENVIRONMENT {
            read.environment = Some(value);
        } else if !CONTROL.contains(&name.as_str()) {
            read.layer = read.layer.merge(&SETTINGS, setting(&name, &value)?);
        }
    }
    Ok(read)
}

fn setting(name: &str, text: &str) -> Result<Node> {
    let mut shape = &SETTINGS;
    let (mut path, mut spelled) = (Vec::new(), PREFIX.to_owned());
    for part in name.strip_prefix(PREFIX).unwrap_or(name).split("__") {
        let (key, next) = match shape {
            Shape::Names(_, below) => (part, *below),
            _ => {
                let mut keys = shape.keys().iter();
                let key = keys.find(|(key, _)| key.eq_ignore_ascii_case(part));
                let (key, below) = key.ok_or_else(|| unknown(name, part, shape, &spelled))?;
                (*key, below)
            }
        };
        spelled += &if matches!(shape, Shape::Names(..)) { format!("{key}__") } else { upper(key) };
        shape = next;
        path.push(key.to_owned());
    }
    let a_table = || Failure::usage(format!("the variable {name} names a table"));
    match (shape, shape.keys().first()) {
        (Shape::Names(..), _) => {
            return Err(a_table().help(format!("add the name and a key: {name}__NAME__KEY")));
        }
        (_, Some((key, _))) => {
            let example = upper(key);
            let example = example.trim_end_matches('_');
            return Err(a_table().help(format!("set one of its keys, such as {name}__{example}")));
        }
        _ => {}
    }
    let nested = path
        .iter()
        .rev()
        .fold(value(shape, text), |inner, key| Value::Object([(key.clone(), inner)].into_iter().collect()));
    Node::read(&SETTINGS, nested, &Source::Variable(name.to_owned()), &[])
}

/// A key as a part of a variable's name.
fn upper(key: &str) -> String {
    format!("{}__", key.to_ascii_uppercase())
}

/// The text as the value that the shape wants; what does not fit stays text, and
/// the shape refuses it with the same words as in every other layer.
fn value(shape: &Shape, text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    match shape {
        Shape::Number(..) => text.trim().parse::<u64>().map_or_else(|_| as_text(), Value::from),
        Shape::Flag => text.trim().parse::<bool>().map_or_else(|_| as_text(), Value::from),
        Shape::List(_) if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).unwrap_or_else(|_| as_text())
        }
        Shape::List(_) => text.split(',').map(|item| Value::from(item.trim())).collect(),
        _ => as_text(),
    }
}

fn unknown(name: &str, part: &str, shape: &Shape, before: &str) -> Failure {
    let failure = Failure::usage(format!("the variable {name} names no setting"));
    let known: Vec<&str> = shape.keys().iter().map(|(key, _)| *key).collect();
    match nearest(part, known.iter().copied()) {
        Some(near) => failure.help(format!("did you mean {before}{}?", near.to_ascii_uppercase())),
        None if known.is_empty() => {
            failure.help(format!("{} has no keys below it", before.trim_end_matches('_')))
        }
        None => failure.help(format!("known below {before}: {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(variables: &[(&str, &str)]) -> Result<Value> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Ok(read(variables)?.layer.value())
    }

    #[test]
    fn paths_become_tables_and_names_keep_their_case() {
        let read = layer(&[
            ("DEPLOYVM_HYPERVISOR", "root@hv"),
            ("DEPLOYVM_DEFAULTS__SETTLE", "5"),
            ("DEPLOYVM_vms__Vm_2__TAGS", "web, db"),
            ("DEPLOYVM_VMS__Vm_2__checks__up__EXEC", r#"["a,b"]"#),
            ("DEPLOYVM_VMS__Vm_2__checks__up__STRICT", "true"),
            ("DEPLOYVM_ENV", "staging"),
            ("DEPLOYVM_SKIP", "1"),
            ("DEPLOYVM_VERDICT", ""),
            ("HOME", "/root"),
        ]);
        let wanted = serde_json::json!({
            "hypervisor": "root@hv",
            "defaults": { "settle": 5 },
            "vms": { "Vm_2": { "tags": ["web", "db"], "checks": { "up": { "exec": ["a,b"], "strict": true } } } },
        });
        assert_eq!(read.unwrap(), wanted);
    }

    #[test]
    fn errors_name_the_variable() {
        let said = |name: &str, value: &str| {
            let failure = layer(&[(name, value)]).unwrap_err();
            format!("{} | {}", failure.message, failure.help.unwrap_or_default())
        };
        insta::assert_snapshot!([
            said("DEPLOYVM_HYPERVISR", "x"),
            said("DEPLOYVM_DEFAULTS__SETTEL", "5"),
            said("DEPLOYVM_DEFAULTS__SETTLE", "5s"),
            said("DEPLOYVM_DEFAULTS", "5"),
            said("DEPLOYVM_VMS__vm1", "5"),
            said("DEPLOYVM_VMS", "5"),
            said("DEPLOYVM_HYPERVISOR__X", "5"),
            said("DEPLOYVM_VMS__-x__ADDRESS", "10.0.0.1"),
            said("DEPLOYVM_VMS__vm1__TAGS", "[1"),
        ].join("\n"), @r#"
        the variable DEPLOYVM_HYPERVISR names no setting | did you mean DEPLOYVM_HYPERVISOR?
        the variable DEPLOYVM_DEFAULTS__SETTEL names no setting | did you mean DEPLOYVM_DEFAULTS__SETTLE?
        DEPLOYVM_DEFAULTS__SETTLE is the text "5s" | it must be a whole number of seconds from 0 to 3600
        the variable DEPLOYVM_DEFAULTS names a table | set one of its keys, such as DEPLOYVM_DEFAULTS__ADDRESS
        the variable DEPLOYVM_VMS__vm1 names a table | set one of its keys, such as DEPLOYVM_VMS__vm1__ADDRESS
        the variable DEPLOYVM_VMS names a table | add the name and a key: DEPLOYVM_VMS__NAME__KEY
        the variable DEPLOYVM_HYPERVISOR__X names no setting | DEPLOYVM_HYPERVISOR has no keys below it
        DEPLOYVM_VMS__-x__ADDRESS: "-x" is not a valid VM name: it must start with an ASCII letter or digit | write the name of a microVM as in nixosConfigurations
        DEPLOYVM_VMS__vm1__TAGS is the text "[1" | it must be a list of texts
        "#);
    }
}
