//! The shape of the settings, as data: which keys there are and what each may be.
//! It exists beside the types in `model::settings` so that an error can name the
//! key, the layer and the nearest known key; a test holds the two together.

use crate::error::without_secrets;
use crate::model::address::Address;
use crate::model::name::{VmName, Word};

/// Whether a text is accepted; otherwise what is wrong with it, and what to write.
type Verdict = Result<(), (String, &'static str)>;

/// What a value may be.
pub(super) enum Shape {
    /// Text that this function accepts.
    Text(fn(&str) -> Verdict),
    /// The same, of which it does not go without saying what it holds.
    TextOf(&'static str, fn(&str) -> Verdict),
    /// A whole number in this range, of this unit (may be empty).
    Number(u64, u64, &'static str),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of what this shape describes.
    List(&'static Shape),
    /// A table with these keys.
    Table(&'static [(&'static str, Shape)]),
    /// A declared check: a table in which a stronger layer's probe replaces a weaker one's.
    Check(&'static [(&'static str, Shape)]),
    /// A table whose keys are names that this function accepts.
    Names(fn(&str) -> Verdict, &'static Shape),
}

use Shape::{Check, Choice, Flag, List, Names, Number, Table, Text, TextOf};

/// Keys of a check that belong to its probe.
pub(super) const PROBE_KEYS: [&str; 7] = ["http", "tcp", "ping", "dns", "exec", "status", "body"];

/// All settings.
pub(super) static SETTINGS: Shape = Table(&[
    ("defaults", Table(VM_KEYS)),
    ("hypervisor", Text(address)),
    ("hypervisors", Names(hypervisor_name, &HYPERVISOR)),
    ("vms", Names(vm_name, &VM)),
]);

/// `deployvm.toml`: settings, and environments that hold settings.
pub(super) static FILE: Shape = Table(&[
    ("defaults", Table(VM_KEYS)),
    ("environments", Names(word, &SETTINGS)),
    ("hypervisor", Text(address)),
    ("hypervisors", Names(hypervisor_name, &HYPERVISOR)),
    ("vms", Names(vm_name, &VM)),
]);

/// The flake's `deployvm` output.
pub(super) static OUTPUT: Shape =
    Table(&[("hypervisors", Names(hypervisor_name, &HYPERVISOR)), ("vms", Names(vm_name, &VM))]);

/// One VM.
pub(super) static VM: Shape = Table(VM_KEYS);

static HYPERVISOR: Shape = Table(&[
    ("address", Text(address)),
    ("configuration", Text(line)),
    ("elevate", Choice(&["sudo", "run0", "doas", "none"])),
    ("flake", Text(open_line)),
]);

const VM_KEYS: &[(&str, Shape)] = &[
    ("address", Text(host)),
    ("after", List(&Text(vm_name))),
    ("boot", Number(1, 3600, " of seconds")),
    ("checks", Names(word, &CHECK)),
    (
        "guest",
        Table(&[
            ("port", Number(1, 65535, "")),
            ("user", Text(user)),
            ("via", Choice(&["hypervisor", "laptop", "vsock"])),
        ]),
    ),
    ("hypervisor", Text(address)),
    ("settle", Number(0, 3600, " of seconds")),
    ("tags", List(&Text(word))),
    ("verdict", Number(1, 3600, " of seconds")),
    ("within", Number(1, 3600, " of seconds")),
];

static CHECK: Shape = Check(&[
    ("body", TextOf("a regular expression for the body", line)),
    ("dns", TextOf("the name to look up", line)),
    ("exec", List(&TextOf("the program and its arguments", line))),
    ("expect", Choice(&["ok", "refused"])),
    ("from", List(&Choice(&["laptop", "hypervisor", "vm"]))),
    ("http", TextOf(r#"a URL, such as "http://10.1.0.2/""#, open_page)),
    ("ping", TextOf(r#"an address or a name, such as "1.1.1.1""#, line)),
    ("status", Number(100, 599, "")),
    ("strict", Flag),
    ("tcp", TextOf(r#"an address or a name with a port, such as "10.1.0.2:22""#, line)),
    ("within", Number(1, 3600, " of seconds")),
]);

impl Shape {
    /// The keys, where there is a fixed list of them.
    pub(super) fn keys(&self) -> &'static [(&'static str, Shape)] {
        match self {
            Table(keys) | Check(keys) => keys,
            _ => &[],
        }
    }

    /// What is below this key.
    pub(super) fn at(&self, key: &str) -> Option<&'static Shape> {
        match self {
            Names(_, shape) => Some(shape),
            _ => self.keys().iter().find(|(known, _)| *known == key).map(|(_, shape)| shape),
        }
    }

    /// What a value must be, in words.
    pub(super) fn expected(&self) -> String {
        match self {
            Text(_) => "text".to_owned(),
            TextOf(what, _) => format!("text: {what}"),
            Number(least, most, unit) => format!("a whole number{unit} from {least} to {most}"),
            Flag => "true or false".to_owned(),
            Choice(words) => words.iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(" or "),
            List(item) => match item {
                Choice(_) => format!("a list of {}", item.expected()),
                TextOf(what, _) => format!("a list of texts: {what}"),
                _ => "a list of texts".to_owned(),
            },
            Table(_) | Check(_) | Names(..) => "a table".to_owned(),
        }
    }
}

/// Words as an error about a name says them.
fn named<T>(parsed: Result<T, crate::model::name::InvalidName>, help: &'static str) -> Verdict {
    parsed.map(drop).map_err(|e| (format!("not a valid {}: {}", e.kind, e.why), help))
}

fn word(text: &str) -> Verdict {
    named(text.parse::<Word>(), "choose another name")
}

fn hypervisor_name(text: &str) -> Verdict {
    if text == "local" {
        return Err(("reserved: it always means this machine".to_owned(), "choose another name"));
    }
    word(text)
}

fn vm_name(text: &str) -> Verdict {
    named(text.parse::<VmName>(), "write the name of a microVM as in nixosConfigurations")
}

fn address(text: &str) -> Verdict {
    named(text.parse::<Address>(), "write [USER@]HOST[:PORT], or \"local\" for this machine")
}

fn host(text: &str) -> Verdict {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".:-_".contains(&b);
    if text.is_empty() || text.len() > 255 || text.starts_with('-') || !text.bytes().all(allowed) {
        let help = "write it without brackets and without a prefix length, such as 10.0.0.2";
        return Err(("not an IP address or host name".to_owned(), help));
    }
    Ok(())
}

fn user(text: &str) -> Verdict {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if text.is_empty() || text.len() > 64 || text.starts_with(['-', '.']) || !text.bytes().all(allowed) {
        return Err(("not a user name".to_owned(), "use at most 64 ASCII letters, digits, '-', '_' and '.'"));
    }
    Ok(())
}

/// The same without a user or password in a URL: it stays in the ledger.
fn open_page(text: &str) -> Verdict {
    if without_secrets(text) != text {
        let help = "ask for a page that needs none, or use exec with a program that has its own password";
        return Err(("with a user or a password in its URL, where others can read it".to_owned(), help));
    }
    line(text)
}

/// The same without a password or token in a URL: it is written where others read it.
fn open_line(text: &str) -> Verdict {
    if without_secrets(text) != text {
        let help = "leave it out of the URL; for the hypervisor's own Nix it belongs into netrc-file or access-tokens there";
        return Err(("with a password or token in it".to_owned(), help));
    }
    line(text)
}

/// One line of text that is not empty.
fn line(text: &str) -> Verdict {
    if text.trim().is_empty() {
        return Err(("empty".to_owned(), "write one line of text, or leave it out"));
    }
    if text.chars().any(char::is_control) {
        return Err(("text with several lines or control characters".to_owned(), "write one line of text"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::check::{Declared, Expect, From};
    use crate::model::settings::{DeployvmOutput, Guest, Hypervisor, Settings, VmSettings};

    fn keys_of(model: impl serde::Serialize) -> Vec<String> {
        let value = serde_json::to_value(model).unwrap();
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    }

    fn keys_here(shape: &Shape) -> Vec<String> {
        shape.keys().iter().map(|(key, _)| (*key).to_owned()).collect()
    }

    #[test]
    fn the_shape_has_exactly_the_keys_of_the_model() {
        assert_eq!(keys_here(&SETTINGS), keys_of(Settings::default()));
        assert_eq!(keys_here(&OUTPUT), keys_of(DeployvmOutput::default()));
        assert_eq!(keys_here(&VM), keys_of(VmSettings::default()));
        assert_eq!(keys_here(&HYPERVISOR), keys_of(Hypervisor::default()));
        assert_eq!(keys_here(VM.at("guest").unwrap()), keys_of(Guest::default()));
        let text = || Some("x".to_owned());
        let check = Declared {
            http: text(),
            tcp: text(),
            ping: text(),
            dns: text(),
            exec: Some(vec![]),
            status: Some(200),
            body: text(),
            from: Some(vec![From::Vm]),
            within: Some(1),
            expect: Some(Expect::Ok),
            strict: Some(true),
        };
        assert_eq!(keys_here(&CHECK), keys_of(check));
    }
}
