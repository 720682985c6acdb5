//! Stopping a deployment at an exact step: `tests/lab/gate` stands in front of the
//! programs that the steps call, on the laptop and on the hypervisor, and holds one call.

use std::path::PathBuf;

use crate::harness::Lab;
use crate::running::{Running, until};

/// Where a step's program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Found by deployvm in its PATH.
    Laptop,
    /// Found by the remote scripts in theirs.
    Hypervisor,
}
use Place::{Hypervisor, Laptop};

/// A step of a deployment, and the call that it is about to make.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// As in the table.
    pub name: &'static str,
    place: Place,
    program: &'static str,
    /// Of its arguments.
    pattern: &'static str,
    /// A step that the transaction must have said.
    after: &'static str,
}

/// A step of a test's own, of programs that those below call.
pub const fn step(
    name: &'static str,
    place: Place,
    program: &'static str,
    pattern: &'static str,
    after: &'static str,
) -> Step {
    Step { name, place, program, pattern, after }
}

/// All of them, in order. vm1 is the first that is switched.
pub const STEPS: [Step; 18] = [
    step("connect", Laptop, "ssh", "*-M *", ""),
    step("evaluate", Laptop, "nix", "*eval *", ""),
    step("look", Hypervisor, "df", "-P -k /nix/store", ""),
    step("build", Laptop, "nix-store", "--realise *", ""),
    step("copy", Laptop, "ssh", "*nix-daemon *", ""),
    step("lock", Hypervisor, "nix-store", "--check-validity *", "locked"),
    step("root", Hypervisor, "ln", "* /nix/var/nix/gcroots/deployvm/*-to", "locked"),
    step("record", Hypervisor, "sync", "*/before/*", "locked"),
    step("stop", Hypervisor, "setpriv", "*/microvm-shutdown", "stopping"),
    step("flip", Hypervisor, "mv", "*/.current.* */current", "stopped"),
    step("restart", Hypervisor, "systemctl", "start -- microvm@*", "flipped"),
    step("settle", Hypervisor, "ping", "*-c 1 *", "started"),
    step("host checks", Hypervisor, "curl", "*/10.1.0.2/*", "booted"),
    step("laptop checks", Laptop, "sh", "*probe http http://10.1.0.2/*", "booted"),
    step("verdict", Hypervisor, "ln", "-sT -- commit.*", "waiting"),
    step("commit", Hypervisor, "nix-env", "*/profiles/vm1 *", "committing"),
    step("ledger", Hypervisor, "date", "-u *", "committing"),
    step("unlock", Hypervisor, "rm", "-f -- /nix/var/nix/gcroots/deployvm/*-to", ""),
];

/// The step of that name.
pub fn named(name: &str) -> &'static Step {
    STEPS.iter().find(|step| step.name == name).unwrap()
}

const ON_HYPERVISOR: &str = "/opt/lab/gate";
const TRANSACTIONS: &str = "/var/lib/deployvm/transactions";

impl Lab {
    /// Puts the gates up; again after a reboot, which forgets the hypervisor's way there.
    pub fn gates(&self) {
        let text = std::fs::read_to_string(self.source("gate")).unwrap();
        let here = self.dir.join("gate");
        std::fs::create_dir_all(here.join("bin")).unwrap();
        std::fs::write(here.join("gate"), text.replace("@GATE@", here.to_str().unwrap())).unwrap();
        for program in programs(Laptop) {
            let link = here.join("bin").join(program);
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink("../gate", &link).unwrap();
        }
        self.laptop(&["chmod", "0755", here.join("gate").to_str().unwrap()]).expect(0);
        let text = text.replace("@GATE@", ON_HYPERVISOR);
        let links: String = programs(Hypervisor).map(|p| format!("ln -sfn ../gate bin/{p}\n")).collect();
        self.hv(&format!(
            "mkdir -p {ON_HYPERVISOR}/bin /run/current-system/sw\ncd {ON_HYPERVISOR}\n\
             cat >gate <<'END-OF-GATE'\n{text}END-OF-GATE\nchmod 0755 gate\n{links}\
             ln -sfn {ON_HYPERVISOR}/bin /run/current-system/sw/bin\nrm -f armed reached\n"
        ))
        .expect(0);
    }

    /// The PATH with the laptop's gates.
    pub fn gated_path(&self) -> String {
        format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.dir.join("gate/bin").display())
    }

    /// The next call of that kind stops.
    pub fn arm(&self, step: &Step) {
        let Step { program, pattern, after, .. } = step;
        match step.place {
            Laptop => {
                let seen = self.disk(TRANSACTIONS);
                let text = format!("{program}\n{pattern}\n{after}\n{}\n", seen.display());
                let new = self.dir.join("gate/new");
                std::fs::write(&new, text).unwrap();
                std::fs::rename(new, self.dir.join("gate/armed")).unwrap();
            }
            Hypervisor => {
                let text = format!("{program}\n{pattern}\n{after}\n{TRANSACTIONS}\n");
                let to = format!("{ON_HYPERVISOR}/new");
                self.hv(&format!("cat >{to} <<'END'\n{text}END\nmv {to} {ON_HYPERVISOR}/armed")).expect(0);
            }
        }
    }

    /// Pushes a VM until it stands at a step.
    #[track_caller]
    pub fn pushing_up_to(&self, step: &Step, vm: &str) -> Running {
        self.arm(step);
        let push = self.pushing(&[vm], &[]);
        self.arrives(step, || Ok(()));
        push
    }

    /// Waits until a call stands at the gate; `alive` says what is wrong, if something is.
    #[track_caller]
    pub fn arrives(&self, step: &Step, mut alive: impl FnMut() -> Result<(), String>) {
        let reached = match step.place {
            Laptop => self.dir.join("gate/reached"),
            Hypervisor => self.disk(&format!("{ON_HYPERVISOR}/reached")),
        };
        let reached: PathBuf = reached;
        until(&format!("the step {}", step.name), 90, || {
            if reached.exists() { Ok(()) } else { Err(alive().err().unwrap_or_default()) }
        });
    }

    /// Lets it go on, and takes back what nobody met.
    pub fn release(&self, step: &Step) {
        match step.place {
            Laptop => {
                for name in ["armed", "reached"] {
                    let _ = std::fs::remove_file(self.dir.join("gate").join(name));
                }
            }
            Hypervisor => {
                self.hv(&format!("rm -f {ON_HYPERVISOR}/armed {ON_HYPERVISOR}/reached"));
            }
        }
    }
}

fn programs(place: Place) -> impl Iterator<Item = &'static str> {
    let mut names: Vec<&str> = STEPS.iter().filter(|s| s.place == place).map(|s| s.program).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}
