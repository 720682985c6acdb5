//! Reads what `host/scripts/system.sh` says of the hypervisor's own system.

use crate::model::name::VmName;
use crate::model::store_path::StorePath;
use crate::model::system::{Boot, FoundGeneration, FoundSystem};

/// Its profile: what the next boot starts.
pub const SYSTEM_PROFILE: &str = "/nix/var/nix/profiles/system";

/// Parses the fields; what makes no sense is left out.
pub fn parse(fields: &[String]) -> FoundSystem {
    let mut found = FoundSystem::default();
    let mut fields = fields.iter();
    while let (Some(key), Some(value)) = (fields.next(), fields.next()) {
        match key.as_str() {
            "current" => found.current = value.clone(),
            "booted" => found.booted = value.parse().ok(),
            "booted_parts" => found.boot = boot(value),
            "default" => {
                found.default =
                    value.strip_prefix("system-").and_then(|v| v.strip_suffix("-link")?.parse().ok());
            }
            "generation" => found.generations.extend(generation(value)),
            "version" => {
                if let Some(last) = found.generations.last_mut() {
                    last.version = Some(value.trim().to_owned()).filter(|v| !v.is_empty());
                }
            }
            "parts" => {
                if let Some(last) = found.generations.last_mut() {
                    last.boot = boot(value);
                }
            }
            "toplevel" => found.toplevels.extend(toplevel(value)),
            _ => {}
        }
    }
    found.generations.sort_by_key(|generation| generation.number);
    // A number is one generation's.
    found.generations.dedup_by_key(|generation| generation.number);
    found
}

/// A line each: kernel, initrd, modules; the rest is the kernel's parameters.
fn boot(text: &str) -> Boot {
    let mut lines = text.splitn(4, '\n');
    let mut part = || lines.next().and_then(in_store);
    let (kernel, initrd, modules) = (part(), part(), part());
    let params = lines.next().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Boot { kernel, initrd, modules, params }
}

/// The store path that a path is in.
fn in_store(path: &str) -> Option<StorePath> {
    let name = path.strip_prefix("/nix/store/")?.split('/').next()?;
    format!("/nix/store/{name}").parse().ok()
}

fn generation(line: &str) -> Option<FoundGeneration> {
    let mut words = line.splitn(3, ' ');
    let number = words.next()?.parse().ok()?;
    let time = words.next()?.parse().ok()?;
    let path = words.next()?.parse().ok()?;
    Some(FoundGeneration { number, time, path, version: None, boot: Boot::default() })
}

fn toplevel(line: &str) -> Option<(VmName, StorePath)> {
    let (vm, path) = line.split_once(' ')?;
    Some((vm.parse().ok()?, path.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_is_one_generations() {
        let path = |name: &str| format!("9 1600000000 /nix/store/x38mw7pb00krln22ws43jyj0bkdkag9l-{name}");
        let fields = ["generation".to_owned(), path("a"), "generation".to_owned(), path("b")];
        assert_eq!(parse(&fields).generations.len(), 1);
    }

    #[test]
    fn reads_a_look() {
        let path = |name: &str| format!("/nix/store/x38mw7pb00krln22ws43jyj0bkdkag9l-{name}");
        let fields = [
            ("current", path("b")),
            ("booted", path("a")),
            ("booted_parts", format!("{}/bzImage\n\n{}\nquiet x=y", path("linux"), path("modules"))),
            ("default", "system-12-link".to_owned()),
            ("generation", format!("12 1700000000 {}", path("b"))),
            ("version", "24.11.lab".to_owned()),
            ("parts", String::new()),
            ("generation", format!("9 1600000000 {}", path("a"))),
            ("version", String::new()),
            ("generation", "x y z".to_owned()),
            ("toplevel", format!("vm1 {}", path("vm1"))),
            ("toplevel", format!("-x {}", path("vm1"))),
        ];
        let fields: Vec<String> =
            fields.into_iter().flat_map(|(key, value)| [key.to_owned(), value]).collect();
        let found = parse(&fields);
        assert_eq!(found.running().unwrap().name(), "b");
        assert_eq!((found.default, found.toplevels.len()), (Some(12), 1));
        assert_eq!(found.boot.kernel.unwrap().name(), "linux");
        assert_eq!((found.boot.initrd, found.boot.params.as_deref()), (None, Some("quiet x=y")));
        let numbers: Vec<_> = found.generations.iter().map(|g| (g.number, g.version.as_deref())).collect();
        assert_eq!(numbers, [(9, None), (12, Some("24.11.lab"))]);
    }

    proptest! {
        #[test]
        fn never_panics(fields in proptest::collection::vec("(generation|parts|default|toplevel|(?s:.){0,20})", 0..10)) {
            let _ = parse(&fields);
        }
    }
}
