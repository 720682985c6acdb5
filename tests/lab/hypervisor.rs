//! What is really there: links, profiles, processes, the ledger, and what a transaction
//! leaves behind. Read from the hypervisor itself, never from deployvm.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use serde_json::Value;

use crate::harness::Lab;
use crate::running::until;

/// One microVM as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vm {
    /// Where the links in its directory point, if they are there.
    pub current: Option<String>,
    /// The same.
    pub booted: Option<String>,
    /// Number that its profile points to.
    pub generation: Option<u64>,
    /// All numbers and what they are.
    pub generations: BTreeMap<u64, String>,
    /// The unit's state.
    pub active: String,
    /// Its main process, 0 for none.
    pub pid: u32,
    /// That process's arguments.
    pub arguments: String,
    /// Names in its directory.
    pub files: Vec<String>,
}

const LOOK: &str = r#"
d=/var/lib/microvms/$v p=/var/lib/deployvm/profiles/$v
echo "current $(readlink $d/current || :)"
echo "booted $(readlink $d/booted || :)"
echo "profile $(readlink $p || :)"
for link in $p-*-link; do [ ! -L $link ] || echo "generation ${link#$p-} $(readlink $link)"; done
echo "active $(systemctl show -p ActiveState --value microvm@$v)"
pid=$(systemctl show -p MainPID --value microvm@$v)
echo "pid $pid"
[ $pid = 0 ] || echo "arguments $(tr '\0' ' ' </proc/$pid/cmdline || :)"
for file in $(ls -A $d 2>/dev/null || :); do echo "file $file"; done
"#;

impl Vm {
    /// Panics unless this runner, and no other, is current, booted, the profile's, and
    /// what the process runs.
    #[track_caller]
    pub fn runs(&self, lab: &Lab, runner: &str) -> &Self {
        let wanted = Some(runner);
        assert_eq!(self.active, "active", "{self:#?}");
        assert_eq!(self.current.as_deref(), wanted, "current\n{self:#?}");
        assert_eq!(self.booted.as_deref(), wanted, "booted\n{self:#?}");
        let numbered = self.generation.and_then(|n| self.generations.get(&n));
        assert_eq!(numbered.map(String::as_str), wanted, "the profile\n{self:#?}");
        self.carries(lab, runner)
    }

    /// Panics unless its process is of this runner.
    #[track_caller]
    pub fn carries(&self, lab: &Lab, runner: &str) -> &Self {
        let program = std::fs::read_to_string(lab.disk(&format!("{runner}/bin/microvm-run"))).unwrap();
        let paths: Vec<&str> =
            self.arguments.split([' ', ',', '=']).filter(|word| word.starts_with("/nix/store/")).collect();
        assert!(!paths.is_empty(), "no store path in {self:#?}");
        for path in paths {
            assert!(program.contains(path), "{runner} has no {path}\n{self:#?}");
        }
        self
    }
}

/// Prints what a transaction must not leave behind.
const LEFT: &str = r#"
systemctl list-units --all --plain --no-legend 'deployvm-*'
for lock in /run/deployvm/*.lock; do
    [ ! -e $lock ] || flock -n $lock true || echo "held: $lock"
done
# Who watches over a copy stays for some seconds: receiver.rs looks at that.
find /run/deployvm -mindepth 1 ! -name '*.lock' ! -name '.receive-*' 2>/dev/null || :
find /nix/var/nix/gcroots/deployvm -mindepth 1 2>/dev/null || :
for t in /var/lib/deployvm/transactions/*; do
    [ ! -d $t ] || [ -e $t/outcome ] || echo "open: $t"
done
# What is made under another name first; in an ended transaction it goes with that.
find /var/lib/deployvm/transactions -mindepth 1 -maxdepth 1 -name '.*' 2>/dev/null || :
find /var/lib/microvms /var/lib/deployvm -path /var/lib/deployvm/transactions -prune -o -name '.*' -print 2>/dev/null || :
"#;

impl Lab {
    /// A path on the hypervisor, as seen from outside; while it is down, on its disk, but
    /// for what came with its root file system.
    pub fn disk(&self, path: &str) -> PathBuf {
        let root = match self.leader() {
            Some(pid) => PathBuf::from(format!("/proc/{pid}/root")),
            None => self.dir.join("hv/disk"),
        };
        root.join(path.trim_start_matches('/'))
    }

    /// Looks at a VM.
    #[track_caller]
    pub fn vm(&self, name: &str) -> Vm {
        let said = self.hv(&format!("v={name}{LOOK}")).expect(0);
        let mut vm = Vm::default();
        let number =
            |link: &str| link.trim_start_matches(&format!("{name}-")).trim_end_matches("-link").parse().ok();
        for line in said.stdout.lines() {
            let (key, value) = line.split_once(' ').unwrap();
            let some = Some(value.to_owned()).filter(|v| !v.is_empty());
            match key {
                "current" => vm.current = some,
                "booted" => vm.booted = some,
                "profile" => vm.generation = number(value),
                "generation" => {
                    let (link, path) = value.split_once(' ').unwrap();
                    vm.generations.insert(number(link).unwrap(), path.to_owned());
                }
                "active" => vm.active = value.to_owned(),
                "pid" => vm.pid = value.parse().unwrap(),
                "arguments" => vm.arguments = value.to_owned(),
                "file" => vm.files.push(value.to_owned()),
                _ => {}
            }
        }
        vm
    }

    /// The ledger's lines, oldest first.
    pub fn ledger(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.disk("/var/lib/deployvm/ledger.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The ledger's last line about a VM, with the console decoded.
    #[track_caller]
    pub fn last_entry(&self, vm: &str) -> Value {
        let mut entry = self.ledger().into_iter().rfind(|e| e["vm"] == vm).unwrap();
        let console = entry["console_base64"].as_str().unwrap_or_default();
        let console = base64::engine::general_purpose::STANDARD.decode(console).unwrap();
        entry["console"] = String::from_utf8_lossy(&console).into_owned().into();
        entry
    }

    /// The transactions that the hypervisor knows.
    pub fn transactions(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.disk("/var/lib/deployvm/transactions")) else {
            return Vec::new();
        };
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// A file of a transaction.
    pub fn transaction_file(&self, id: &str, name: &str) -> Option<String> {
        std::fs::read_to_string(self.disk(&format!("/var/lib/deployvm/transactions/{id}/{name}"))).ok()
    }

    /// Waits until a transaction that was not there before takes this step, and returns it.
    #[track_caller]
    pub fn reaches(&self, before: &[String], step: &str) -> String {
        until(&format!("the step {step}"), 90, || {
            let new = self.transactions().into_iter().find(|id| !before.contains(id));
            let id = new.ok_or("there is no transaction")?;
            let events = self.transaction_file(&id, "events").unwrap_or_default();
            let wanted = format!("step {step} ");
            if events.lines().any(|line| line.starts_with(&wanted)) { Ok(id) } else { Err(events) }
        })
    }

    /// Waits until a transaction has an outcome, and returns its lines.
    #[track_caller]
    pub fn outcome(&self, id: &str) -> Vec<String> {
        until(&format!("an outcome of {id}"), 120, || {
            let outcome = self.transaction_file(id, "outcome");
            outcome.ok_or_else(|| self.transaction_file(id, "events").unwrap_or_default())
        })
        .lines()
        .map(str::to_owned)
        .collect()
    }

    /// Panics unless nothing of a transaction is left: no unit, no lock, no root, and every
    /// transaction has an outcome.
    #[track_caller]
    pub fn tidy(&self) {
        self.tidy_but("nothing");
    }

    /// The same, but for lines that have this text.
    #[track_caller]
    pub fn tidy_but(&self, text: &str) {
        let excepted = |line: &&str| !line.contains(text);
        let look = || self.hv(LEFT).expect(0).stdout.lines().filter(excepted).collect::<Vec<_>>().join("\n");
        until("nothing is left of a transaction", 60, || match look() {
            left if left.trim().is_empty() => Ok(()),
            left => Err(left),
        });
    }
}
