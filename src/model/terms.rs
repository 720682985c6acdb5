//! The terms on which a generation was deployed: everything that a later switch to it
//! must know and that only its flake told. The laptop writes them, the hypervisor keeps
//! them beside the generation (`/var/lib/deployvm/terms/VM/N.json`), and a rollback reads
//! them, so that it needs neither the flake nor Nix on the laptop.

use serde::{Deserialize, Serialize};

use super::inventory::Wanted;
use super::settings::VmSettings;

/// What was known when a generation was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Raised when a key changes its meaning.
    pub schema: u8,
    /// The VM as its flake wanted it; `runner` says which generation this belongs to.
    pub wanted: Wanted,
    /// Its settings from all layers: address, checks, the way in, deadlines.
    pub settings: VmSettings,
    /// Its taps that belonged to a bridge.
    #[serde(default)]
    pub taps: Vec<String>,
}

impl Terms {
    /// The terms of a VM as wanted.
    pub fn new(wanted: &Wanted, settings: &VmSettings, taps: &[String]) -> Self {
        Self { schema: 1, wanted: wanted.clone(), settings: settings.clone(), taps: taps.to_vec() }
    }

    /// Reads what any version wrote. Settings of which this version knows nothing must
    /// not stand in the way of a rollback: then none of them apply.
    pub fn read(text: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let wanted = serde_json::from_value(value.get("wanted")?.clone()).ok()?;
        let settings = value.get("settings").cloned().and_then(|s| serde_json::from_value(s).ok());
        let taps = value.get("taps").cloned().and_then(|t| serde_json::from_value(t).ok());
        let (settings, taps) = (settings.unwrap_or_default(), taps.unwrap_or_default());
        Some(Self { schema: 1, wanted, settings, taps })
    }

    /// As it is kept.
    pub fn write(&self) -> String {
        // Keys are texts and numbers are finite, so this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 0.1 wrote it: every later one must read this.
    const FIRST: &str = r#"{"schema":1,"wanted":{"name":"vm1","drv":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a.drv",
        "runner":"/nix/store/1123456789abcdfghijklmnpqrsvwxyz-microvm-qemu-vm1","toplevel":null,
        "system":"x86_64-linux","hypervisor":"qemu","mem":96,"vcpu":1,
        "interfaces":[{"type":"tap","id":"vm-vm1","mac":"02:00:00:00:00:01","bridge":null}],
        "addresses":["10.1.0.2"],"cid":null,"volumes":[],"sshd":true,"settings":null},
        "settings":{"hypervisor":null,"tags":null,"after":null,"address":null,"checks":null,"guest":null,
        "settle":3,"boot":60,"within":30,"verdict":30},"taps":["vm-vm1"]}"#;

    #[test]
    fn reads_what_the_first_version_wrote_and_itself() {
        let terms = Terms::read(FIRST).unwrap();
        assert_eq!(terms.wanted.taps().collect::<Vec<_>>(), ["vm-vm1"]);
        assert_eq!((terms.settings.boot, terms.taps.len()), (Some(60), 1));
        assert_eq!(Terms::read(&terms.write()), Some(terms));
    }

    #[test]
    fn settings_of_a_later_version_do_not_stand_in_the_way() {
        let later = FIRST.replace("\"settle\":3", "\"mood\":\"good\"");
        assert_eq!(Terms::read(&later).unwrap().settings, VmSettings::default());
        assert_eq!(Terms::read("{\"schema\":1}"), None);
        assert_eq!(Terms::read(""), None);
    }
}
