//! What journalctl is asked about microVMs, and what it says: entries as JSON, in which
//! every text is foreign. Which microVM an entry is about is told by its unit, which the
//! journal itself puts down.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::name::VmName;

/// What is asked of a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Units, with whose they are.
    units: BTreeMap<String, VmName>,
    /// Not what systemd says of them.
    own_words: bool,
    /// Of what is there, only this invocation.
    invocation: String,
    /// From this time on, in journalctl's words; empty for all.
    pub since: String,
    /// Up to this time; empty for all.
    pub until: String,
    /// What messages match, a regular expression; empty for all.
    pub grep: String,
    /// Of what is there, so many of the newest.
    pub lines: Option<u32>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the journal; means nothing but to journalctl.
    pub cursor: String,
    /// When the journal took it, in microseconds since 1970.
    pub micros: i64,
    /// The microVM.
    pub vm: VmName,
    /// The unit.
    pub unit: String,
    /// Who speaks, one word; `None` for the console of the guest.
    pub speaker: Option<String>,
    /// What was said.
    pub message: String,
}

/// The units that run a microVM, the one of its guest first.
fn units(vm: &VmName) -> impl Iterator<Item = String> {
    let helpers = ["set-booted", "tap-interfaces", "macvtap-interfaces", "pci-devices", "virtiofsd"];
    let helpers = helpers.into_iter().map(move |helper| format!("microvm-{helper}@{vm}.service"));
    [vm.unit(), format!("install-microvm-{vm}.service")].into_iter().chain(helpers)
}

impl Query {
    /// All that is said of these microVMs.
    pub fn all_of(vms: &[VmName]) -> Self {
        let of = |vm: &VmName| units(vm).map(|unit| (unit, vm.clone())).collect::<Vec<_>>();
        Self { units: vms.iter().flat_map(of).collect(), ..Self::default() }
    }

    /// The console of one microVM, beginning with this invocation of its unit.
    pub fn console_of(vm: &VmName, invocation: &str) -> Self {
        Self {
            units: BTreeMap::from([(vm.unit(), vm.clone())]),
            own_words: true,
            invocation: invocation.to_owned(),
            ..Self::default()
        }
    }

    /// The arguments of `journal.sh` for what is there.
    pub fn read(&self) -> Vec<String> {
        let lines = self.lines.map(|lines| lines.to_string()).unwrap_or_default();
        let extra = match self.invocation.as_str() {
            "" => String::new(),
            invocation => format!("_SYSTEMD_INVOCATION_ID={invocation}"),
        };
        self.words(["read", "", &self.since, &self.until, &self.grep, &lines, &extra])
    }

    /// The arguments for what has come since the entry of this cursor, and with it.
    pub fn catch_up(&self, cursor: &str) -> Vec<String> {
        self.words(["read", cursor, "", "", &self.grep, "", ""])
    }

    /// The same for what comes. Of earlier boots nothing comes.
    pub fn follow(&self, cursor: &str) -> Vec<String> {
        self.words(["follow", cursor, "", "", &self.grep, "", ""])
    }

    fn words(&self, first: [&str; 7]) -> Vec<String> {
        let option = if self.own_words { "_SYSTEMD_UNIT" } else { "--unit" };
        let matches = self.units.keys().map(|unit| format!("{option}={unit}"));
        first.into_iter().map(str::to_owned).chain(matches).collect()
    }

    /// Reads one line of what journalctl prints; `None` where it makes no sense, or is not
    /// about what was asked.
    pub fn entry(&self, line: &str) -> Option<Entry> {
        let raw: Raw = serde_json::from_str(line).ok()?;
        // What a unit's own process says of other units is not believed.
        let said = [&raw.own_unit, &raw.unit, &raw.object_unit, &raw.coredump_unit];
        let (unit, vm) = said.into_iter().find_map(|unit| self.units.get_key_value(unit.as_str()?))?;
        let speaker = match unit.strip_suffix(&format!("@{vm}.service")) {
            _ if raw.pid.as_str() == Some("1") => Some("systemd"),
            Some("microvm") if raw.own_unit.as_str() == Some(unit) => None,
            Some("microvm") => Some("systemd"),
            Some(helper) => helper.strip_prefix("microvm-"),
            None => Some("install"),
        };
        Some(Entry {
            cursor: raw.cursor,
            micros: raw.micros.parse().ok()?,
            vm: vm.clone(),
            unit: unit.clone(),
            speaker: speaker.map(str::to_owned),
            message: text(&raw.message),
        })
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    micros: String,
    #[serde(rename = "MESSAGE", default)]
    message: Value,
    #[serde(rename = "_PID", default)]
    pid: Value,
    #[serde(rename = "_SYSTEMD_UNIT", default)]
    own_unit: Value,
    #[serde(rename = "UNIT", default)]
    unit: Value,
    #[serde(rename = "OBJECT_SYSTEMD_UNIT", default)]
    object_unit: Value,
    #[serde(rename = "COREDUMP_UNIT", default)]
    coredump_unit: Value,
}

/// A field as text: it is a list of bytes where it cannot be shown as it is, and a list of
/// fields where there are several (systemd.journal-fields(7), "Journal JSON Format").
fn text(field: &Value) -> String {
    let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
    match field {
        Value::String(text) => text.clone(),
        Value::Array(items) => match items.iter().map(byte).collect::<Option<Vec<u8>>>() {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => items.iter().map(text).collect::<Vec<_>>().join("\n"),
        },
        _ => String::new(),
    }
}

/// What journalctl complained about, when that was its end: stderr, and on the last line an
/// exit code unless that was 0. Without a match the code is 1 and nothing is said; of a file
/// that it cannot read it says so and goes on.
pub fn complaint(said: &str) -> Option<String> {
    let (text, code) = said.rsplit_once('\n')?;
    code.parse::<u8>().ok().filter(|code| *code != 0)?;
    let fatal = |line: &&str| !line.trim().is_empty() && !line.ends_with("ignoring file.");
    let lines: Vec<&str> = text.lines().filter(fatal).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vms(names: &[&str]) -> Vec<VmName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn line(fields: &str) -> String {
        format!(r#"{{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795280245619607",{fields}}}"#)
    }

    #[test]
    fn whose_entry_it_is_and_who_speaks() {
        let query = Query::all_of(&vms(&["vm1", "vm10"]));
        let of = |fields: &str| {
            let entry = query.entry(&line(fields))?;
            Some(format!("{} {} {}", entry.vm, entry.speaker.as_deref().unwrap_or("-"), entry.message))
        };
        let cases = [
            r#""_SYSTEMD_UNIT":"microvm@vm1.service","_PID":"42","MESSAGE":"boots""#,
            r#""_SYSTEMD_UNIT":"init.scope","_PID":"1","UNIT":"microvm@vm10.service","MESSAGE":"Started""#,
            r#""_SYSTEMD_UNIT":"microvm-virtiofsd@vm1.service","_PID":"42","MESSAGE":"shares""#,
            r#""_SYSTEMD_UNIT":"install-microvm-vm1.service","_PID":"42","MESSAGE":"installs""#,
            r#""_SYSTEMD_UNIT":"microvm@vm1.service","_PID":"42","UNIT":"microvm@vm10.service","MESSAGE":"lies""#,
            r#""_SYSTEMD_UNIT":"x.service","_PID":"42","COREDUMP_UNIT":"microvm@vm1.service","MESSAGE":"dumped""#,
            r#""_SYSTEMD_UNIT":"microvm@vm2.service","_PID":"42","MESSAGE":"not asked""#,
        ];
        let all: Vec<String> = cases.iter().map(|case| of(case).unwrap_or("nobody's".to_owned())).collect();
        insta::assert_snapshot!(all.join("\n"), @r"
        vm1 - boots
        vm10 systemd Started
        vm1 virtiofsd shares
        vm1 install installs
        vm1 - lies
        vm1 systemd dumped
        nobody's
        ");
    }

    #[test]
    fn messages_come_in_several_shapes() {
        let query = Query::all_of(&vms(&["vm1"]));
        let message = |json: &str| {
            let fields = format!(r#""_SYSTEMD_UNIT":"microvm@vm1.service","MESSAGE":{json}"#);
            query.entry(&line(&fields)).map(|entry| entry.message)
        };
        assert_eq!(message(r#""a\nb""#).as_deref(), Some("a\nb"));
        assert_eq!(message("[27,91,109,104,105,255]").as_deref(), Some("\u{1b}[mhi\u{fffd}"));
        assert_eq!(message(r#"["one",[116,119,111]]"#).as_deref(), Some("one\ntwo"));
        assert_eq!(message("null").as_deref(), Some(""));
        assert_eq!(message("[1,256,-1]").as_deref(), Some("\n\n"));
        for nonsense in ["", "{}", "[]", "beat", r#"{"__CURSOR":1}"#] {
            assert_eq!(query.entry(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_is_asked() {
        let mut query = Query::console_of(&"vm1".parse().unwrap(), "0123");
        (query.grep, query.lines) = ("(a|b)".to_owned(), Some(5));
        assert_eq!(
            query.read()[3..],
            ["", "(a|b)", "5", "_SYSTEMD_INVOCATION_ID=0123", "_SYSTEMD_UNIT=microvm@vm1.service"]
        );
        // A restart is followed as well.
        assert_eq!(query.catch_up("s=1")[..2], ["read", "s=1"]);
        assert_eq!(query.follow("s=1")[..2], ["follow", "s=1"]);
        assert_eq!(query.follow("s=1")[4..], ["(a|b)", "", "", "_SYSTEMD_UNIT=microvm@vm1.service"]);
        assert_eq!(Query::all_of(&vms(&["vm1", "vm2"])).read().len(), 7 + 14);
    }

    #[test]
    fn complaints() {
        assert_eq!(complaint(""), None);
        assert_eq!(complaint("\n1"), None, "nothing matched");
        assert_eq!(complaint("Journal file x is truncated, ignoring file.\n"), None);
        assert_eq!(complaint("Journal file x is truncated, ignoring file.\n\n1"), None);
        assert_eq!(complaint("Bad pattern \"(\"\n\n1").as_deref(), Some("Bad pattern \"(\""));
        assert_eq!(complaint("Failed to parse timestamp: x\n\n1").unwrap(), "Failed to parse timestamp: x");
    }
}
