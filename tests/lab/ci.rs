//! Pipelines: the script lines of the templates themselves, on a machine that has no keys
//! but those in its environment.

use std::path::{Path, PathBuf};

use crate::harness::Lab;
use crate::running::{Output, Running, until};
use crate::secrets::{kept, watched};

/// The script of a job or a step, as its file has it.
fn script(file: &Path, of: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().skip_while(|line| line.trim() != of);
    let begin = lines.find(|line| matches!(line.trim(), "run: |" | "- |")).unwrap();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let body: Vec<&str> = lines.take_while(|line| line.is_empty() || indent(line) > indent(begin)).collect();
    let cut = indent(body[0]);
    body.iter().map(|line| line.get(cut..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// One check goes into the guest; one sees that the key is in no environment but ours.
const SETTINGS: &str = r#"
hypervisor = "root@10.99.0.2"
[vms.vm1.checks.inside]
exec = ["true"]
from = ["vm"]
[vms.vm1.checks.without-key]
exec = ["sh", "-c", "test -n \"$CI\" && test -z \"$DEPLOYVM_SSH_KEY\""]
from = ["laptop"]
"#;

/// A machine of a pipeline.
struct Machine {
    lab: Lab,
    key: String,
    known_hosts: String,
}

impl Machine {
    /// The laptop without its keys, which are handed in.
    fn new() -> Self {
        let lab = Lab::up(&[]);
        lab.write("deployvm.toml", SETTINGS);
        for template in ["github-actions", "gitlab-ci"] {
            lab.laptop(&["deployvm", "init", template]).expect(0).says("wrote .git");
        }
        lab.laptop(&["git", "add", "."]).expect(0);
        lab.commit();
        let ssh = lab.dir.join("home/.ssh");
        let read = |name: &str| std::fs::read_to_string(ssh.join(name)).unwrap();
        let (key, known_hosts) = (read("id_ed25519"), read("known_hosts"));
        std::fs::remove_dir_all(&ssh).unwrap();
        Self { lab, key, known_hosts }
    }

    fn run(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let mut command = self.lab.command(&["bash", "-e", "-c", script]);
        command.env("CI", "true").env("DEPLOYVM", env!("CARGO_BIN_EXE_deployvm"));
        command.envs(variables.iter().copied());
        let output = Running::start(command, false).wait(300);
        assert!(!output.said().contains(self.secret()), "the key was shown");
        // It sees that its input has ended, a moment after whoever held that.
        until("the agent is gone", 60, || match self.lab.on_laptop("ssh-agent") {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}\n{output}")),
        });
        output
    }

    fn on_github(&self, step: &str, known_hosts: &str) -> Output {
        let workflow = self.lab.flake().join(".github/workflows/deployvm.yml");
        let summary = self.summary().display().to_string();
        self.run(
            &script(&workflow, step),
            &[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_STEP_SUMMARY", &summary),
                ("DEPLOYVM_SSH_KEY", self.key.trim()),
                ("DEPLOYVM_KNOWN_HOSTS", known_hosts),
            ],
        )
    }

    fn on_gitlab(&self, job: &str) -> Output {
        // As GitLab makes them: for everybody to read, at which ssh itself would balk.
        let file = |name: &str, text: &str| {
            let path = self.lab.dir.join("home").join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (key, hosts) = (file("key", &self.key), file("hosts", &self.known_hosts));
        let pipeline = self.lab.flake().join(".gitlab-ci.yml");
        let variables =
            [("GITLAB_CI", "true"), ("DEPLOYVM_SSH_KEY_FILE", &*key), ("DEPLOYVM_KNOWN_HOSTS_FILE", &*hosts)];
        self.run(&script(&pipeline, job), &variables)
    }

    fn summary(&self) -> PathBuf {
        self.lab.dir.join("home/runner/summary.md")
    }

    /// A line of the key.
    fn secret(&self) -> &str {
        self.key.lines().nth(2).unwrap()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.lab.flake().join(name)).unwrap()
    }
}

fn contains(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
}

#[test]
fn the_templates_own_lines_plan_and_deploy() {
    let machine = Machine::new();
    let lab = &machine.lab;
    let planned = machine.on_github("- name: Plan", &machine.known_hosts).expect(0);
    planned.says("there are changes to deploy");
    let row = "| `vm1` | **install and start** |";
    contains(&machine.file("plan.md"), &["### Plan for `root@10.99.0.2`: 2 to install", row]);
    assert_eq!(std::fs::read_to_string(machine.summary()).unwrap(), machine.file("plan.md"));

    // All of it with that key alone: master, copying, the verdict, and into the guest.
    let deploy = || machine.on_github("- name: Deploy", &machine.known_hosts);
    let (deployed, leaks, seen) = watched(machine.secret(), "ssh-agent -D", deploy);
    let said = deployed.expect(0).said();
    lab.answers("vm1", "vm1 version 1");
    lab.answers("vm2", "vm2 version 1");
    assert_eq!(leaks, Vec::<String>::new());
    assert!(!seen.is_empty());
    contains(
        &said,
        &[
            "\n::group::copying",
            "\n::endgroup::\n",
            "check inside from vm ok",
            "check without-key from laptop ok",
        ],
    );
    let page = std::fs::read_to_string(machine.summary()).unwrap();
    contains(&page, &["### Result: 2 deployed (exit 0)", "| `vm1` | ✓ deployed | 1 |"]);
    assert_eq!(kept(lab, machine.secret()), "");

    lab.edit_vm("vm2", r#"version = "2";"#);
    machine.on_gitlab("plan:").expect(0).says("there are changes to deploy");
    let said = machine.on_gitlab("deploy:").expect(0).said();
    lab.answers("vm2", "vm2 version 2");
    contains(
        &said,
        &["section_start:", ":deployvm_copy_", "[collapsed=true]\r\u{1b}[0Kcopying", "section_end:"],
    );
    contains(&machine.file("result.md"), &["| `vm1` | unchanged |", "| `vm2` | ✓ deployed | 2 |"]);
    machine.on_gitlab("plan:").expect(0).says("the default branch would run what runs now");

    lab.edit_vm("vm2", r#"version = "3"; fault = "exit";"#);
    let failed = machine.on_github("- name: Deploy", &machine.known_hosts).expect(30);
    contains(
        &failed.said(),
        &["\n::error title=vm2 rolled-back::", "what failed runs again as it did before"],
    );
    lab.answers("vm2", "vm2 version 2");
    let page = std::fs::read_to_string(machine.summary()).unwrap();
    contains(&page, &["1 rolled-back (exit 30)", "| `vm2` | **↺ rolled-back** |", "on purpose"]);
    assert_eq!(kept(lab, machine.secret()), "");

    // Of host keys, only those that were given count.
    let ssh = lab.dir.join("home/.ssh");
    std::fs::create_dir(&ssh).unwrap();
    std::fs::write(ssh.join("known_hosts"), &machine.known_hosts).unwrap();
    let others = machine.known_hosts.replace("10.99.0.2,hv", "10.9.9.9");
    let refused = machine.on_github("- name: Plan", &others).expect(11);
    contains(&refused.said(), &["::error title=deployvm (exit 11)::the host key of 10.99.0.2 is not known"]);
}
