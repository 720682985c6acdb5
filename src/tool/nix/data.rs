//! Settings that users write as Nix data. When their type is wrong, the message
//! names the key; when a key is unknown, the nearest known one.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::model::name::likeness;

/// Turns data into its type. `place` is what the user knows it as, such as `deployvm`.
///
/// All settings are optional, so a part of the data is as valid as the whole: the
/// key at fault is found by trying each alone, level by level.
///
/// # Errors
/// One sentence that names the key at fault.
pub fn typed<T: DeserializeOwned>(value: Value, place: &str) -> Result<T, String> {
    let Err(error) = serde_json::from_value::<T>(value.clone()) else {
        return serde_json::from_value(value).map_err(|e| e.to_string());
    };
    let mut path: Vec<String> = Vec::new();
    let mut why = error.to_string();
    let mut here = &value;
    while let Value::Object(map) = here {
        let culprit = map.iter().find_map(|(key, inner)| {
            let alone = wrap(&path, key, inner.clone());
            let error = serde_json::from_value::<T>(alone).err()?;
            Some((key, inner, error.to_string()))
        });
        let Some((key, inner, error)) = culprit else { break };
        why = error;
        path.push(key.clone());
        here = inner;
    }
    // An unknown key is told with its known neighbours, which are of the level above.
    let full = path.iter().fold(place.to_owned(), |all, key| format!("{all}.{key}"));
    Err(sentence(&full, &why))
}

fn wrap(path: &[String], key: &str, inner: Value) -> Value {
    let one = |key: &str, value| Value::Object(Map::from_iter([(key.to_owned(), value)]));
    path.iter().rev().fold(one(key, inner), |value, key| one(key, value))
}

/// Words serde's message: ``unknown field `a`, expected one of `b`, `c` ``.
fn sentence(key: &str, why: &str) -> String {
    if let Some(rest) = why.strip_prefix("unknown field `") {
        let wrong = rest.split('`').next().unwrap_or_default();
        let known = rest.split('`').skip(2).step_by(2);
        let known = known.map(|key| (likeness(wrong, key), key)).filter(|(like, _)| *like > 0.0);
        let nearest = known.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, key)| key);
        return match nearest {
            Some(nearest) => format!("`{key}` is not known; the nearest known key is `{nearest}`"),
            None => format!("`{key}` is not known"),
        };
    }
    // serde_json adds a position in a text that the user never saw.
    let why = why.split(" at line ").next().unwrap_or(why);
    let typed = ["invalid type: ", "invalid value: ", "unknown variant "];
    let typed = typed.iter().find_map(|begin| why.strip_prefix(begin));
    // What is there may itself have such words.
    match typed.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, wanted)) => format!("`{key}` is wrong: {found} is there, and must be {}", kind(wanted)),
        None => format!("`{key}` is wrong: {why}"),
    }
}

/// What Nix calls a type of Rust.
fn kind(wanted: &str) -> &str {
    match wanted {
        "a sequence" => "a list",
        "a map" => "an attribute set",
        "a boolean" => "true or false",
        "u16" => "a whole number from 0 to 65535",
        "nonzero u16" => "a whole number from 1 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number that is not negative",
        other if other.starts_with("struct ") => "an attribute set",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::settings::DeployvmOutput;
    use serde_json::json;

    fn complaint(value: Value) -> String {
        typed::<DeployvmOutput>(value, "deployvm").unwrap_err()
    }

    #[test]
    fn names_the_key_at_fault() {
        assert_eq!(
            complaint(json!({"vms": {"vm1": {}, "vm2": {"tags": "web"}}})),
            "`deployvm.vms.vm2.tags` is wrong: string \"web\" is there, and must be a list"
        );
        assert_eq!(
            complaint(json!(5)),
            "`deployvm` is wrong: integer `5` is there, and must be an attribute set"
        );
        assert_eq!(
            complaint(json!({"vms": {"vm1": {"checks": {"web": {"http": 1}}}}})),
            "`deployvm.vms.vm1.checks.web.http` is wrong: integer `1` is there, and must be a string"
        );
        assert_eq!(
            complaint(json!({"vms": {"vm1": {"boot": -1}}})),
            "`deployvm.vms.vm1.boot` is wrong: integer `-1` is there, and must be a whole number from 0 to 4294967295"
        );
        assert_eq!(
            complaint(json!({"vms": {"vm1": {"guest": {"via": "pigeon"}}}})),
            "`deployvm.vms.vm1.guest.via` is wrong: `pigeon` is there, and must be one of `hypervisor`, `laptop`, `vsock`"
        );
        assert_eq!(
            complaint(json!({"vms": {"vm1": {"checks": {"a": {"strict": "no, expected u16"}}}}})),
            "`deployvm.vms.vm1.checks.a.strict` is wrong: string \"no, expected u16\" is there, and must be true or false"
        );
        let name = complaint(json!({"vms": {"a b": {}}}));
        assert!(name.starts_with("`deployvm.vms.a b` is wrong: \"a b\" is not a valid VM name"), "{name}");
    }

    #[test]
    fn names_the_nearest_known_key() {
        assert_eq!(
            complaint(json!({"hypervisor": {}})),
            "`deployvm.hypervisor` is not known; the nearest known key is `hypervisors`"
        );
        assert_eq!(
            complaint(json!({"vms": {"vm1": {"tag": []}}})),
            "`deployvm.vms.vm1.tag` is not known; the nearest known key is `tags`"
        );
    }

    #[test]
    fn a_very_long_key_is_told_at_once() {
        let said = complaint(json!({"vms": {"vm1": {"tags".repeat(100_000): []}}}));
        assert!(said.ends_with("is not known"), "{}", said.len());
    }

    #[test]
    fn takes_what_is_right() {
        let output: DeployvmOutput =
            typed(json!({"vms": {"vm1": {"tags": ["web"], "hypervisor": null}}}), "deployvm").unwrap();
        assert_eq!(output.vms.len(), 1);
    }
}
