//! Graphs of derivations with one thing changed, and what is told of it.

use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;

use super::*;
use crate::model::derivation::Made;

/// A store of derivations.
#[derive(Debug, Default, Clone)]
struct Store(BTreeMap<StorePath, Derivation>);

fn path(name: &str, of: impl Hash) -> StorePath {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("/nix/store/{:032}-{name}", hasher.finish()).parse().unwrap()
}

impl Store {
    /// Adds one; `$NAME` in its script is the path of that input.
    fn add(&mut self, name: &str, inputs: &[&StorePath], script: &str) -> StorePath {
        let mut script = script.to_owned();
        for input in inputs {
            let name = pairs::name(input);
            let short = name.split_once("-2").map_or(name.trim_end_matches("-1"), |(package, _)| package);
            let made = self.0[*input].outputs["out"].path.clone().unwrap();
            script = script.replace(&format!("${short}"), made.as_str());
        }
        let key = (name, inputs, &script);
        let out = path(name, (key, "out"));
        let derivation = Derivation {
            outputs: [("out".to_owned(), Made { path: Some(out.clone()), hash: String::new() })].into(),
            inputs: inputs.iter().map(|i| ((*i).clone(), ["out".to_owned()].into())).collect(),
            system: "x86_64-linux".to_owned(),
            builder: "/bin/sh".to_owned(),
            args: vec!["-c".to_owned(), script.clone()],
            env: [("name", name), ("out", out.as_str()), ("builder", "/bin/sh")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            ..Derivation::default()
        };
        let drv = path(&format!("{name}.drv"), key);
        self.0.insert(drv.clone(), derivation);
        drv
    }

    fn set(&mut self, drv: &StorePath, change: impl Fn(&mut Derivation)) {
        change(self.0.get_mut(drv).unwrap());
    }

    /// A microVM: runner, system, etc, a unit and an application that needs a library.
    fn vm(&mut self, words: &Words) -> StorePath {
        let libfoo = self.add(&format!("libfoo-{}", words.libfoo), &[], "make");
        let app = self.add("app-1", &[&libfoo], "link $libfoo/lib");
        let unit = self.add("unit-app.service", &[&app], &format!("ExecStart=$app {}", words.flag));
        let etc = self.add("etc", &[&unit], "ln $unit");
        let mut below = vec![&app, &etc];
        let jq = words.jq.then(|| self.add("jq-1.7", &[], "make"));
        below.extend(&jq);
        let system = self.add("nixos-system-vm1", &below, "ln $app $etc");
        self.add("microvm-qemu-vm1", &[&system], &format!("exec qemu -m {} $nixos-system-vm1", words.mem))
    }

    fn why(&self, before: &StorePath, after: &StorePath) -> Why {
        let mut walk = Walk::begin(before, after);
        loop {
            let needs = walk.needs();
            if needs.is_empty() {
                return walk.end();
            }
            for path in needs {
                let derivation = self.0.get(&path).cloned();
                walk.learn(path, derivation);
            }
        }
    }
}

struct Words {
    libfoo: &'static str,
    flag: &'static str,
    mem: u32,
    jq: bool,
}

const FIRST: Words = Words { libfoo: "2.1", flag: "--quiet", mem: 96, jq: false };

fn told(why: &Why) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".to_owned());
    let mut lines = Vec::new();
    for cause in &why.causes {
        lines.push(cause.way.join(" > "));
        for Change { what, name, before, after } in &cause.changes {
            lines.push(format!("  {} {name}: {} | {}", what.word(), text(before), text(after)));
        }
    }
    lines.join("\n")
}

#[test]
fn tells_where_differences_begin_and_nothing_that_only_follows() {
    let mut store = Store::default();
    let before = store.vm(&FIRST);
    let after = store.vm(&Words { libfoo: "2.2", flag: "--loud", mem: 128, jq: false });
    insta::assert_snapshot!(told(&store.why(&before, &after)), @"
    microvm-qemu-vm1
      argument 2: exec qemu -m 96… | exec qemu -m 128…
    microvm-qemu-vm1 > nixos-system-vm1 > etc > unit-app.service
      argument 2: …--quiet | …--loud
    microvm-qemu-vm1 > nixos-system-vm1 > app-1 > libfoo-2.2
      name name: libfoo-2.1 | libfoo-2.2
    ");
}

#[test]
fn what_came_is_told_once_where_it_came() {
    let mut store = Store::default();
    let before = store.vm(&FIRST);
    let after = store.vm(&Words { jq: true, ..FIRST });
    let said = told(&store.why(&before, &after));
    let (first, rest) = said.split_once('\n').unwrap();
    assert_eq!(first, "microvm-qemu-vm1 > nixos-system-vm1");
    assert!(rest.starts_with("  input jq-1.7: nothing | /nix/store/") && !rest.contains('\n'), "{said}");
    let back = told(&store.why(&after, &before));
    assert!(back.ends_with("| nothing"), "{back}");
}

#[test]
fn a_list_that_only_names_what_came_is_no_change_of_its_own() {
    let mut store = Store::default();
    let jq = store.add("jq-1.7", &[], "make");
    let plain = store.add("env", &[], "x");
    let with = store.add("env", &[&jq], "x");
    store.set(&plain, |d| drop(d.env.insert("buildInputs".to_owned(), "a  b".to_owned())));
    let made = store.0[&jq].outputs["out"].path.clone().unwrap();
    store.set(&with, |d| drop(d.env.insert("buildInputs".to_owned(), format!("a {made} b"))));
    let why = store.why(&plain, &with);
    assert_eq!(why.causes[0].changes.len(), 1, "{}", told(&why));
    // The same without anything that came is a change.
    let other = store.add("env", &[&jq], "x ");
    store.set(&other, |d| drop(d.env.insert("buildInputs".to_owned(), format!("a  {made} b"))));
    assert_eq!(store.why(&with, &other).causes[0].changes.len(), 2);
}

#[test]
fn files_are_told_and_fixed_outputs_end_the_walk() {
    let mut store = Store::default();
    let curl = [store.add("curl-8", &[], "1"), store.add("curl-9", &[], "2")];
    let fetched = |store: &mut Store, curl: &StorePath, hash: &str| {
        let drv = store.add("src.tar.gz", &[curl], hash);
        let path = path("src.tar.gz", hash);
        store.set(&drv, |d| {
            d.outputs.insert("out".to_owned(), Made { path: Some(path.clone()), hash: hash.to_owned() });
        });
        drv
    };
    let [one, same, other] =
        [(0, "sha256:a"), (1, "sha256:a"), (1, "sha256:b")].map(|(n, h)| fetched(&mut store, &curl[n], h));
    let [before, same, other] = [one, same, other].map(|src| store.add("app", &[&src], "unpack"));
    assert_eq!(store.why(&before, &same).causes, []);
    let why = store.why(&before, &other);
    assert_eq!(why.causes.len(), 1, "{}", told(&why));
    assert_eq!(why.causes[0].way, ["app", "src.tar.gz"]);
    let sources = [("1", "guest-init"), ("2", "guest-init"), ("3", "new.sh")];
    let sourced: Vec<StorePath> = sources.map(|(n, name)| path(name, n)).into();
    let [x, y] = ["x", "y"].map(|script| store.add("initrd", &[], script));
    store.set(&x, |d| d.sources = [sourced[0].clone()].into());
    store.set(&y, |d| d.sources = sourced[1..].iter().cloned().collect());
    let names: Vec<_> = store.why(&x, &y).causes[0].changes.iter().map(|c| c.what.word()).collect();
    assert_eq!(names, ["argument", "source", "source"]);
}

#[test]
fn what_cannot_be_read_is_said() {
    let mut store = Store::default();
    let before = store.vm(&FIRST);
    let after = store.vm(&Words { libfoo: "2.2", ..FIRST });
    store.0.retain(|path, _| path == &after || !path.name().starts_with("microvm"));
    assert_eq!(
        told(&store.why(&before, &after)),
        "microvm-qemu-vm1\n  unreadable microvm-qemu-vm1: nothing | nothing"
    );
    assert_eq!(store.why(&after, &after), Why::default());
}

#[test]
fn a_very_long_list_ends() {
    let mut store = Store::default();
    let mut make = |n: u32| {
        let many: Vec<StorePath> =
            (0..300).map(|i| store.add(&format!("p{i}"), &[], &n.to_string())).collect();
        store.add("all", &many.iter().collect::<Vec<_>>(), "")
    };
    let (before, after) = (make(1), make(2));
    let why = store.why(&before, &after);
    assert_eq!((why.causes.len(), why.more), (MOST_CAUSES, true));
}

#[test]
fn very_many_changes_are_cut() {
    let mut store = Store::default();
    let [x, y] = ["x", "y"].map(|script| store.add("env", &[], script));
    let long = "v".repeat(1000);
    store.set(&y, |d| d.env.extend((0..500).map(|n| (format!("{long}{n}"), "1".to_owned()))));
    let why = store.why(&x, &y);
    assert_eq!((why.causes[0].changes.len(), why.more), (MOST_CHANGES, true));
    assert!(why.causes[0].changes.iter().all(|change| change.name.chars().count() < 80));
}

#[test]
fn work_has_an_end() {
    let mut store = Store::default();
    let before = store.vm(&FIRST);
    let after = store.vm(&Words { libfoo: "2.2", mem: 128, ..FIRST });
    let mut walk = Walk::begin(&before, &after);
    walk.room = 1;
    while let Some(path) = walk.needs().pop_first() {
        let known = store.0.get(&path).cloned();
        walk.learn(path, known);
    }
    let why = walk.end();
    assert_eq!((why.causes.len(), why.more), (1, true), "{}", told(&why));
}

proptest! {
    /// Any graph: every derivation is told at most once, and the walk ends.
    #[test]
    fn ends_and_tells_each_once(edges in proptest::collection::vec((0_usize..8, 0_usize..8, "[ab]"), 0..30)) {
        let mut store = Store::default();
        let mut roots = Vec::new();
        for version in 0..2 {
            let mut made: Vec<StorePath> = Vec::new();
            for node in 0..8 {
                let below: BTreeSet<&StorePath> =
                    edges.iter().filter(|(a, b, _)| *a == node && *b < node).filter_map(|(_, b, _)| made.get(*b)).collect();
                let script: String = edges.iter().filter(|(a, ..)| *a == node).map(|(.., s)| s.as_str()).collect();
                let script = if version == 0 { script } else { script.replace('b', "c") };
                let drv = store.add(&format!("n{node}"), &below.into_iter().collect::<Vec<_>>(), &script);
                made.push(drv);
            }
            roots.push(made.pop().unwrap());
        }
        let why = store.why(&roots[0], &roots[1]);
        let told: BTreeSet<_> = why.causes.iter().map(|c| (&c.before, &c.after)).collect();
        prop_assert_eq!(told.len(), why.causes.len());
        prop_assert_eq!(why.causes.is_empty(), roots[0] == roots[1]);
    }
}
