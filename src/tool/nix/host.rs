//! `nix eval` about a hypervisor's own configuration: which one it is, and what it wants.
//! As in [`super::eval`], expressions are constant and only parsed names become part of an
//! attribute path.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::PassThrough;
use super::eval::{self, Misread, parse_configuration};
use crate::model::argv::Argv;
use crate::model::inventory::Wanted;
use crate::model::name::{VmName, Word};
use crate::model::store_path::StorePath;
use crate::model::system::{Boot, Declared, WantedSystem};

/// What is asked about it: a function of the inventory's.
const HOST: &str = concat!(
    "(",
    include_str!("../../../nix/host.nix"),
    ") (",
    include_str!("../../../nix/inventory.nix"),
    ")"
);

/// The configurations with microvm.nix's host module. What throws is none.
const HYPERVISORS: &str = "configurations:
builtins.filter (
  name: (builtins.tryEval (configurations.${name}.config.microvm.host.enable or false)).value == true
) (builtins.attrNames configurations)";

/// Asks which configurations are hypervisors' own.
pub fn hypervisors(flake: &str, pass: &PassThrough) -> Argv {
    eval::evaluate(format!("{flake}#nixosConfigurations"), pass, &["--apply", HYPERVISORS])
}

/// Asks for one of them.
pub fn system(flake: &str, pass: &PassThrough, configuration: &Word) -> Argv {
    eval::evaluate(format!("{flake}#{}", eval::attribute(configuration.as_str())), pass, &["--apply", HOST])
}

/// The attribute of its system.
pub fn toplevel(configuration: &Word) -> String {
    format!("{}.config.system.build.toplevel", eval::attribute(configuration.as_str()))
}

/// Keys of `nix/host.nix`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    drv: StorePath,
    out: StorePath,
    system: Option<String>,
    kernel: Option<StorePath>,
    initrd: Option<StorePath>,
    modules: Option<StorePath>,
    params: Option<String>,
    autostart: Vec<String>,
    vms: BTreeMap<String, AnswerVm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerVm {
    owned: bool,
    restart_if_changed: bool,
    wanted: Value,
}

/// What [`system`] asked for. Of VMs with names that are none for deployvm nothing is known.
///
/// # Errors
/// When the settings of a VM in it are wrong, or the answer has another shape.
pub fn parse_system(json: &[u8]) -> Result<WantedSystem, Misread> {
    let shape = |e: serde_json::Error| {
        Misread::Shape(format!("its attributes have other types than NixOS and microvm.nix give them: {e}"))
    };
    let answer: Answer = serde_json::from_slice(json).map_err(shape)?;
    let mut vms = BTreeMap::new();
    for (name, vm) in answer.vms {
        let Ok(name) = name.parse::<VmName>() else { continue };
        let wanted = parse_configuration(&name, vm.wanted.to_string().as_bytes())?;
        let declared = Declared { owned: vm.owned, restart_if_changed: vm.restart_if_changed, wanted };
        vms.insert(name, declared);
    }
    let system = answer.system.unwrap_or_default();
    let wanted = Wanted::new(VmName::host(), system, answer.drv, answer.out);
    let Answer { kernel, initrd, modules, params, .. } = answer;
    Ok(WantedSystem {
        wanted,
        boot: Boot { kernel, initrd, modules, params },
        autostart: answer.autostart.iter().filter_map(|name| name.parse().ok()).collect(),
        vms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HV: &str = r#"{"autostart":["vm1","vm2-1-link"],"drv":"/nix/store/x38mw7pb00krln22ws43jyj0bkdkag9l-nixos-system-hv.drv","initrd":null,"kernel":"/nix/store/zn393n27qs0xahasfwhq8sb6ckz3qxdi-linux-6.1","modules":null,"out":"/nix/store/vy2rsfcprvv4vjksnvddg4nrynbj0b6h-nixos-system-hv","params":"quiet loglevel=4","system":"x86_64-linux","vms":{"vm1":{"owned":true,"restartIfChanged":true,"wanted":null},"../x":{"owned":true,"restartIfChanged":true,"wanted":null}}}"#;

    #[test]
    fn reads_a_system() {
        let system = parse_system(HV.as_bytes()).unwrap();
        assert!(system.wanted.name.is_host());
        assert_eq!(system.boot.kernel.unwrap().name(), "linux-6.1");
        assert_eq!(system.boot.params.as_deref(), Some("quiet loglevel=4"));
        assert_eq!(system.autostart, ["vm1".parse().unwrap()]);
        assert_eq!(system.vms.len(), 1, "a name that is none is nobody's");
        assert!(matches!(parse_system(b"{}"), Err(Misread::Shape(_))));
    }
}
