//! The settings as `deployvm config` prints them: each value with its layer.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Settled;
use super::node::dotted;

/// One line per value: key, value, layer.
pub fn table(settled: &Settled) -> String {
    let rows: Vec<[String; 3]> = settled
        .tree
        .leaves()
        .into_iter()
        .map(|(path, value, source)| [dotted(&path), spelled(value), source.to_string()])
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (keys, values) = (width(0), width(1).min(48));
    let mut text = String::new();
    for [key, value, source] in &rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:keys$}  {value:values$}  {source}");
    }
    text
}

/// One object: `{"schema":1,"environment":…,"settings":[{key, value, layer, source}]}`.
pub fn json(settled: &Settled) -> String {
    let rows: Vec<Value> = settled
        .tree
        .leaves()
        .into_iter()
        .map(|(path, value, source)| {
            json!({ "key": dotted(&path), "value": value, "layer": source.layer(), "source": source.to_string() })
        })
        .collect();
    format!("{}\n", json!({ "schema": 1, "environment": settled.environment, "settings": rows }))
}

fn spelled(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(spelled).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
