//! `nix eval`: the names of the configurations, the flake's `deployvm` output, and
//! one configuration at a time. Expressions are constant files, passed as text; the
//! only value that ever becomes part of an attribute path is a parsed name.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

use super::{PassThrough, data};
use crate::model::argv::Argv;
use crate::model::inventory::{Interface, Wanted};
use crate::model::name::VmName;
use crate::model::store_path::StorePath;

/// What is asked about one configuration.
pub const INVENTORY: &str = include_str!("../../../nix/inventory.nix");

/// The microVMs whose names are none for deployvm. The two patterns are those of
/// [`VmName`].
const MISNAMED: &str = r#"configurations:
builtins.filter (
  name:
  (
    builtins.match "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}" name == null
    || builtins.match ".*-[0-9]+-link" name != null
  )
  && (configurations.${name}.config.microvm or { }) ? declaredRunner
) (builtins.attrNames configurations)"#;

/// Asks for the names in `nixosConfigurations`.
pub fn names(flake: &str, pass: &PassThrough) -> Argv {
    evaluate(format!("{flake}#nixosConfigurations"), pass, &["--apply", "builtins.attrNames"])
}

/// Asks for the microVMs that have an unusable name.
pub fn misnamed(flake: &str, pass: &PassThrough) -> Argv {
    evaluate(format!("{flake}#nixosConfigurations"), pass, &["--apply", MISNAMED])
}

/// Asks for the flake's `deployvm` output.
pub fn output(flake: &str, pass: &PassThrough) -> Argv {
    // Nix looks for `packages.SYSTEM.deployvm` first, and a flake may well offer this
    // very program there. No flake has packages for a system of this name, and pure
    // evaluation cannot see it.
    evaluate(format!("{flake}#deployvm"), pass, &["--option", "system", "none"])
}

/// Asks for one configuration.
pub fn configuration(flake: &str, pass: &PassThrough, vm: &VmName) -> Argv {
    evaluate(format!("{flake}#{}", attribute(vm.as_str())), pass, &["--apply", INVENTORY])
}

/// What a user types to see where in the flake it comes from that Nix complains about this
/// attribute; with `shallow`, of the names in it alone.
pub fn traced(flake: &str, pass: &PassThrough, attribute: &str, shallow: bool) -> Argv {
    let mut argv = super::typed(["eval", "--show-trace"], pass);
    if shallow {
        argv = argv.args(["--apply", "builtins.attrNames"]);
    }
    argv.arg(format!("{flake}#{attribute}"))
}

/// The attribute of a microVM's runner.
pub fn runner(vm: &VmName) -> String {
    format!("{}.config.microvm.declaredRunner", attribute(vm.as_str()))
}

/// The attribute of a configuration. Neither a [`VmName`] nor a [`Word`](crate::model::name::Word) has a quote;
/// without any, `my.vm` would be two attributes.
pub(super) fn attribute(name: &str) -> String {
    format!("nixosConfigurations.\"{name}\"")
}

pub(super) fn evaluate(installable: String, pass: &PassThrough, rest: &[&str]) -> Argv {
    // `nix eval` never answers from Nix's evaluation cache, but opens it: parallel
    // calls then meet a busy database, and old failures are told without their text.
    let always = ["--json", "--no-eval-cache"];
    super::on_flake(["eval"], installable, pass, &[&always[..], rest].concat())
}

/// The names that [`names`] or [`misnamed`] asked for.
///
/// # Errors
/// When it is not a list of names.
pub fn parse_names(json: &[u8]) -> Result<Vec<String>, String> {
    serde_json::from_slice(json).map_err(|e| format!("nix eval printed no list of names: {e}"))
}

/// Keys of `nix/inventory.nix`.
#[derive(Deserialize)]
struct Answer {
    drv: StorePath,
    out: StorePath,
    toplevel: Option<StorePath>,
    system: Option<String>,
    hypervisor: Value,
    mem: Value,
    vcpu: Value,
    cid: Value,
    interfaces: Vec<Interface>,
    addresses: Vec<String>,
    volumes: Vec<String>,
    sshd: Value,
    settings: Value,
}

/// Why an answer about a configuration is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misread {
    /// The VM's own `deployvm` options are wrong; the sentence names the key.
    Settings(String),
    /// Nix printed something that nobody expected.
    Shape(String),
}

/// What [`configuration`] asked for; `None` when it is not a microVM.
///
/// # Errors
/// When the VM's own settings are wrong, or the answer has another shape.
pub fn parse_configuration(name: &VmName, json: &[u8]) -> Result<Option<Wanted>, Misread> {
    let shape = |e: serde_json::Error| {
        Misread::Shape(format!("its attributes have other types than microvm.nix gives them: {e}"))
    };
    let Some(answer): Option<Answer> = serde_json::from_slice(json).map_err(shape)? else { return Ok(None) };
    let place = format!("nixosConfigurations.{name}.config.deployvm");
    let settings = match answer.settings {
        Value::Null => None,
        value => Some(data::typed(value, &place).map_err(Misread::Settings)?),
    };
    let mut interfaces = answer.interfaces;
    for interface in &mut interfaces {
        if interface.kind.ends_with("tap") && !is_device(&interface.id) {
            let id = &interface.id;
            return Err(Misread::Shape(format!(
                "{id:?} in microvm.interfaces cannot be the name of a device"
            )));
        }
        interface.mac = interface.mac.take().map(|m| m.to_ascii_lowercase());
    }
    Ok(Some(Wanted {
        name: name.clone(),
        drv: answer.drv,
        runner: answer.out,
        toplevel: answer.toplevel,
        system: answer.system.unwrap_or_default(),
        hypervisor: answer.hypervisor.as_str().map(str::to_owned),
        mem: answer.mem.as_u64(),
        vcpu: answer.vcpu.as_u64(),
        interfaces,
        addresses: reachable(&answer.addresses),
        cid: answer.cid.as_u64(),
        volumes: answer.volumes,
        sshd: answer.sshd.as_bool().unwrap_or_default(),
        settings,
    }))
}

/// Whether a text can be the name of a network device, and nothing else.
pub fn is_device(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    (1..=15).contains(&text.len()) && !matches!(text, "." | "..") && text.bytes().all(plain)
}

/// The addresses at which a guest can be reached from elsewhere, each once, in the
/// order in which they were given.
fn reachable(texts: &[String]) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for address in texts.iter().filter_map(|t| t.parse::<IpAddr>().ok()) {
        let local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        let useless = address.is_loopback() || address.is_unspecified() || local;
        if !useless && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Nix 2.8 prints no final newline, later versions do; the rest is the same.
    const VM1: &str = r#"{"addresses":["10.1.0.9","10.1.0.2","10.1.0.2","fe80::1","127.0.0.1","dhcp"],"cid":7,"drv":"/nix/store/x38mw7pb00krln22ws43jyj0bkdkag9l-microvm-qemu-vm1.drv","hypervisor":"qemu","interfaces":[{"bridge":null,"id":"vm-vm1","mac":"02:00:00:00:00:0A","type":"tap"}],"mem":256,"out":"/nix/store/zn393n27qs0xahasfwhq8sb6ckz3qxdi-microvm-qemu-vm1","settings":{"address":"10.1.0.9","guest":{"user":"x"}},"sshd":true,"system":"x86_64-linux","toplevel":"/nix/store/vy2rsfcprvv4vjksnvddg4nrynbj0b6h-top","vcpu":2,"volumes":["/var/data.img"]}
"#;

    fn vm(text: &str) -> VmName {
        text.parse().unwrap()
    }

    #[test]
    fn reads_a_microvm() {
        let wanted = parse_configuration(&vm("vm1"), VM1.as_bytes()).unwrap().unwrap();
        assert_eq!(wanted.addresses, ["10.1.0.9".parse::<IpAddr>().unwrap(), "10.1.0.2".parse().unwrap()]);
        assert_eq!(wanted.interfaces[0].mac.as_deref(), Some("02:00:00:00:00:0a"));
        assert_eq!((wanted.mem, wanted.vcpu, wanted.cid, wanted.sshd), (Some(256), Some(2), Some(7), true));
        assert_eq!(wanted.settings.unwrap().guest.unwrap().user.as_deref(), Some("x"));
        assert_eq!(parse_configuration(&vm("hv"), b"null\n"), Ok(None));
    }

    #[test]
    fn names_wrong_settings_by_key() {
        let wrong = VM1.replace(r#"{"user":"x"}"#, r#"{"via":"pigeon"}"#);
        let Err(Misread::Settings(why)) = parse_configuration(&vm("vm1"), wrong.as_bytes()) else { panic!() };
        assert!(why.starts_with("`nixosConfigurations.vm1.config.deployvm.guest.via` is wrong"), "{why}");
    }

    #[test]
    fn a_tap_is_a_device_and_a_runner_a_store_path() {
        for bad in ["", "a b", "*", "../lo", "..", "a\\nb", "$(x)", "-/-", "sixteen-letters-", "é"] {
            let wrong = VM1.replace("vm-vm1\",\"mac", &format!("{bad}\",\"mac"));
            let read = parse_configuration(&vm("vm1"), wrong.as_bytes());
            assert!(matches!(read, Err(Misread::Shape(why)) if why.contains("device")), "{bad:?}");
        }
        for bad in ["-microvm\\n-x", "-a b", "-a;b", "-$(x)", "-../x", "-", "-\\u001b[2J", "-é"] {
            let wrong = VM1.replace(
                "zn393n27qs0xahasfwhq8sb6ckz3qxdi-microvm-qemu-vm1",
                &format!("zn393n27qs0xahasfwhq8sb6ckz3qxdi{bad}"),
            );
            let read = parse_configuration(&vm("vm1"), wrong.as_bytes());
            assert!(matches!(read, Err(Misread::Shape(why)) if why.contains("store path")), "{bad:?}");
        }
    }

    #[test]
    fn quotes_names_and_passes_the_users_words_through() {
        let pass = PassThrough {
            overrides: vec![("nixpkgs".into(), "/w/nixpkgs".into())],
            options: vec![("cores".into(), "2".into())],
            ..PassThrough::default()
        };
        let argv = configuration("/w/f", &pass, &vm("my.vm"));
        assert_eq!(argv.args.last().unwrap(), "/w/f#nixosConfigurations.\"my.vm\"");
        for wanted in [&["--override-input", "nixpkgs", "/w/nixpkgs"][..], &["--option", "cores", "2"]] {
            assert!(argv.args.windows(wanted.len()).any(|w| w == wanted), "{argv:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s:.){0,200}") {
            let _ = parse_configuration(&vm("vm1"), text.as_bytes());
            let _ = parse_names(text.as_bytes());
        }
    }
}
