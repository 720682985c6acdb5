//! What must hold after every cell: each VM runs its old or its new runner and nothing
//! in between, everything that says so agrees, and the ledger tells it as it was.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{HYPERVISOR, Lab};
use crate::hypervisor::Vm;
use crate::running::until;

use super::cell::Bench;

/// Where a VM is in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Old,
    New,
    /// What another laptop wished.
    Theirs,
}

impl End {
    /// As in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
            Self::Theirs => "theirs",
        }
    }

    /// Whether it is in a list such as `old|new`.
    pub fn is_one_of(self, words: &str) -> bool {
        words.split('|').any(|word| word == self.word())
    }
}

/// How things were before a cell.
pub struct Before {
    pub vms: [Vm; 2],
    transactions: Vec<String>,
    lines: usize,
}

impl Before {
    /// Looks.
    pub fn look(bench: &Bench) -> Self {
        let lab = &bench.lab;
        let vms = [lab.vm("vm1"), lab.vm("vm2")];
        Self { vms, transactions: lab.transactions(), lines: lines(lab).len() }
    }

    /// The versions that a rollback goes to.
    pub fn previous(&self, bench: &Bench) -> [String; 2] {
        let of = |vm: &Vm| {
            let (_, runner) = vm.generations.range(..vm.generation.unwrap()).last().unwrap();
            // Another laptop's was deployed without us.
            bench.versions.get(runner).cloned().unwrap_or_else(|| bench.lab.version_of(runner))
        };
        [of(&self.vms[0]), of(&self.vms[1])]
    }

    /// Transactions that were begun since.
    pub fn begun(&self, lab: &Lab) -> Vec<String> {
        let whole = |id: &String| !id.starts_with('.') && !self.transactions.contains(id);
        lab.transactions().into_iter().filter(whole).collect()
    }

    /// How many of them did something.
    pub fn done(&self, lab: &Lab) -> usize {
        self.begun(lab).iter().filter(|id| lab.outcome(id)[0] != "refused").count()
    }

    /// Where the VMs are: each answers, and process, links, profile and answer agree.
    pub fn ends(&self, bench: &Bench, wished: &[String; 2]) -> [End; 2] {
        let end = |index: usize| {
            let (lab, vm) = (&bench.lab, ["vm1", "vm2"][index]);
            // systemd may be bringing back what was killed.
            let now = until(&format!("{vm} runs"), 60, || {
                let now = lab.vm(vm);
                if now.active == "active" && now.pid > 0 && now.booted.is_some() {
                    Ok(now)
                } else {
                    Err(format!("{now:#?}"))
                }
            });
            let runner = now.booted.clone().unwrap();
            now.runs(lab, &runner);
            let version = bench.versions.get(&runner).cloned().unwrap_or_else(|| lab.version_of(&runner));
            lab.answers(vm, &format!("{vm} version {version}"));
            match &self.vms[index] {
                old if old.booted == now.booted => {
                    // What another laptop verified has its number.
                    let theirs = |runner: &String| {
                        !bench.versions.contains_key(runner) && lab.version_of(runner).starts_with("theirs")
                    };
                    let mut numbers = now.generations.clone();
                    numbers.retain(|number, runner| old.generations.contains_key(number) || !theirs(runner));
                    assert_eq!(old.generations, numbers, "{vm}: numbers of what was not verified");
                    End::Old
                }
                _ if version == wished[index] => End::New,
                _ if version.starts_with("theirs") => End::Theirs,
                _ => panic!("{vm} runs {version}, neither old nor new"),
            }
        };
        [end(0), end(1)]
    }

    /// The ledger can be read, here and by deployvm, and has one line, and the right one,
    /// for everything that was done since. Returns what it says of vm1.
    pub fn truth(&self, lab: &Lab) -> String {
        let lines = lines(lab);
        let entries: Vec<&Value> = lines.iter().flatten().collect();
        let begun = self.begun(lab);
        for id in &begun {
            let outcome = lab.outcome(id);
            let told: Vec<&&Value> = entries.iter().filter(|e| e["id"] == id.as_str()).collect();
            // What was refused touched nothing: the laptop is told, the ledger need not be.
            let enough = told.len() == 1 || (told.is_empty() && outcome[0] == "refused");
            assert!(enough, "{} lines about {id}, which ended {outcome:?}", told.len());
            for entry in told {
                assert_eq!(entry["result"], outcome[0].as_str(), "{entry}");
                let good = matches!(outcome[0].as_str(), "deployed" | "staged");
                let reason = entry["reason"].as_str();
                assert_eq!(good, reason.is_none(), "{entry}");
                assert!(reason.is_none_or(|word| !word.is_empty() && word != "laptop"), "{entry}");
            }
        }
        // The newest about each VM says what runs.
        let mut newest: BTreeMap<&str, &Value> = BTreeMap::new();
        for entry in &entries {
            newest.insert(entry["vm"].as_str().unwrap(), entry);
        }
        for (vm, entry) in newest {
            let key = if entry["result"] == "deployed" { "to" } else { "from" };
            assert_eq!(lab.vm(vm).booted.as_deref(), entry[key].as_str(), "{entry}");
        }
        lab.laptop(&["deployvm", "history", "-H", HYPERVISOR, "--json"]).expect(0);
        let since = lines.iter().skip(self.lines).flatten().rfind(|e| e["vm"] == "vm1");
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        since.map_or("-".to_owned(), |e| format!("{} {}", word(&e["result"]), word(&e["reason"])))
    }
}

/// The ledger's lines; a torn one is none, but is told from the others.
fn lines(lab: &Lab) -> Vec<Option<Value>> {
    let text = std::fs::read_to_string(lab.disk("/var/lib/deployvm/ledger.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).ok()).collect()
}

impl Lab {
    /// The version that a runner was made of, by what its system has.
    pub fn version_of(&self, runner: &str) -> String {
        let system = std::fs::read_link(self.disk(&format!("{runner}/share/microvm/system"))).unwrap();
        let conf = self.hv(&format!("cat {}/etc/systemd/system/app.service", system.display())).expect(0);
        let app = conf.stdout.split("-app-").nth(1).unwrap();
        app.split('/').next().unwrap().to_owned()
    }
}
