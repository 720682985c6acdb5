//! Lines of `/var/lib/deployvm/ledger.jsonl`. The laptop writes the constant part
//! of a line, the transaction on the hypervisor adds digits and words, and this
//! reader takes whatever it finds: unknown keys and torn lines stop nobody.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::check::CheckResult;

/// One line. Every key but `id` and `vm` may be missing in a line of another version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The transaction's id.
    pub id: String,
    /// When it was decided, RFC 3339 in UTC.
    #[serde(default)]
    pub time: Option<String>,
    /// `user@host` of the laptop; `null` for an adopted generation.
    #[serde(default)]
    pub who: Option<String>,
    /// `push`, `rollback`, `adopt`, `retire`, …
    #[serde(default)]
    pub verb: Option<String>,
    /// The microVM.
    pub vm: String,
    /// Runner before, `null` when there was none.
    #[serde(default)]
    pub from: Option<String>,
    /// Runner wanted.
    #[serde(default)]
    pub to: Option<String>,
    /// Number it got in the profile, `null` when it got none.
    #[serde(default)]
    pub generation: Option<u64>,
    /// Git revision of the flake.
    #[serde(default)]
    pub revision: Option<String>,
    /// Whether the tree was dirty.
    #[serde(default)]
    pub dirty: Option<bool>,
    /// Fingerprint of the flake.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Checks with results.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// One of the result words.
    #[serde(default)]
    pub result: Option<String>,
    /// Why, one word such as `check-failed`; `null` when all went well.
    #[serde(default)]
    pub reason: Option<String>,
    /// Milliseconds per phase and `downtime`.
    #[serde(default, deserialize_with = "durations")]
    pub durations: BTreeMap<String, u64>,
    /// The last console lines of a failed guest, as the transaction wrote them.
    #[serde(default, skip_serializing)]
    pub console_base64: Option<String>,
    /// The same, decoded by the reader.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub console: Vec<String>,
}

/// A duration that makes no sense is left out; the line is worth more than that.
fn durations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u64>, D::Error> {
    let all = BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|(key, value)| Some((key, value.as_u64()?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_without_sense_does_not_hide_the_line() {
        let line = r#"{"id":"a","vm":"vm1","durations":{"total":-5,"downtime":200,"other":null}}"#;
        let entry: Entry = serde_json::from_str(line).unwrap();
        assert_eq!(entry.durations, [("downtime".to_owned(), 200)].into());
    }
}
