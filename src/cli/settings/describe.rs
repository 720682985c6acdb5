//! The settings as `deployvm config` prints them: each value with its layer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::node::{Node, dotted};
use super::{Environment, Settled};
use crate::error::Result;
use crate::model::name::VmName;
use crate::model::settings::VmSettings;

/// Settings that are to be shown.
pub struct Shown<'a> {
    environment: &'a Environment,
    rows: Vec<Row>,
}

struct Row {
    key: String,
    value: Value,
    layer: &'static str,
    source: String,
}

fn rows(tree: &Node, prefix: &[String]) -> Vec<Row> {
    let leaves = tree.leaves().into_iter().map(|(path, value, source)| Row {
        key: dotted(&[prefix, &path].concat()),
        value: value.clone(),
        layer: source.layer(),
        source: source.to_string(),
    });
    leaves.collect()
}

/// What the layers say.
pub fn layers(settled: &Settled) -> Shown<'_> {
    Shown { environment: &settled.environment, rows: rows(&settled.tree, &[]) }
}

/// What holds for these VMs, with what their own configurations say.
///
/// # Errors
/// When such a configuration says something that is not valid (exit 2).
pub fn of_vms<'a>(settled: &'a Settled, vms: &BTreeMap<VmName, Option<VmSettings>>) -> Result<Shown<'a>> {
    let mut all = Vec::new();
    for (vm, own) in vms {
        let mut tree = settled.tree_of(vm, own.as_ref())?;
        // Where nobody says more, the one of all VMs holds.
        if tree.text(&["hypervisor"]).is_none()
            && let Some(node) = settled.tree.get(&["hypervisor"])
        {
            tree.put("hypervisor", node.clone());
        }
        all.extend(rows(&tree, &["vms".to_owned(), vm.to_string()]));
    }
    Ok(Shown { environment: &settled.environment, rows: all })
}

impl Shown<'_> {
    /// One line per value: key, value, layer; the environment first, where there are any.
    pub fn table(&self) -> String {
        let mut lines: Vec<[String; 3]> = Vec::new();
        let Environment { name, chosen_by, known } = self.environment;
        match (name, chosen_by) {
            (Some(name), Some(by)) => {
                lines.push([
                    "environment".to_owned(),
                    format!("{name}, of {}", known.join(", ")),
                    (*by).to_owned(),
                ]);
            }
            _ if known.is_empty() => {}
            _ => {
                let none = format!("none of {}", known.join(", "));
                lines.push(["environment".to_owned(), none, "choose one with --env".to_owned()]);
            }
        }
        let rows = self.rows.iter();
        lines.extend(rows.map(|row| [row.key.clone(), spelled(&row.value), row.source.clone()]));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let (keys, values) = (width(0), width(1).min(48));
        let mut text = String::new();
        for [key, value, source] in &lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key:keys$}  {value:values$}  {source}");
        }
        text
    }

    /// One object, without its schema.
    pub fn object(&self) -> Value {
        let Environment { name, chosen_by, known } = self.environment;
        let rows = self.rows.iter().map(
            |row| json!({ "key": row.key, "value": row.value, "layer": row.layer, "source": row.source }),
        );
        json!({
            "environment": name,
            "chosen_by": chosen_by,
            "environments": known,
            "settings": rows.collect::<Vec<_>>(),
        })
    }
}

fn spelled(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(spelled).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
