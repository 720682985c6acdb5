//! Runners that are built on the hypervisor: seen in both stores, with their logs, their
//! failures and Ctrl-C; and where `auto` builds.

use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::until;

const THERE: [&str; 2] = ["--build-on", "hypervisor"];

impl Lab {
    /// Whether the laptop's store has this path.
    pub fn has_here(&self, path: &str) -> bool {
        self.laptop(&["nix-store", "--check-validity", path]).code == 0
    }

    /// Whether the hypervisor's store has it.
    fn has_there(&self, path: &str) -> bool {
        self.hv(&format!("nix-store --check-validity {path}")).code == 0
    }

    /// Whether the hypervisor's store says that it was built there.
    pub fn was_built_there(&self, path: &str) -> bool {
        let said = self.hv(&format!("nix --extra-experimental-features nix-command path-info --json {path}"));
        said.expect(0).stdout.contains(r#""ultimate":true"#)
    }

    /// Panics when something of a build stays on the hypervisor.
    #[track_caller]
    fn nothing_held(&self) {
        const LEFT: &str = "ls -A /nix/var/nix/gcroots/deployvm 2>/dev/null || :; ls /run/deployvm | grep ^build- || :;
            systemctl list-units --all --no-legend 'deployvm-build-*'; ps axo args | grep '[n]ix-store --realise' || :";
        until("nothing is held", 60, || match self.hv(LEFT).expect(0).stdout {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        });
    }

    /// Puts a line into the script that builds the `app` of every VM whose version is
    /// `slow`.
    pub fn slow_app(&self, script: &str) {
        let file = self.flake().join("vm.nix");
        let text = std::fs::read_to_string(&file).unwrap();
        let mark = "printf %s \"$program\"";
        assert_eq!(text.matches(mark).count(), 1);
        let slow = format!("${{if vm.version == \"slow\" then \"{script}\" else \"\"}}\n        {mark}");
        std::fs::write(&file, text.replace(mark, &slow)).unwrap();
    }

    fn desired(&self, vm: &str) -> String {
        let attribute = format!(".#nixosConfigurations.{vm}.config.microvm.declaredRunner");
        let features = ["--extra-experimental-features", "nix-command flakes"];
        let said = self.laptop(&[&["nix", "eval", "--raw"], &features[..], &[&attribute]].concat());
        said.expect(0).stdout
    }
}

/// Phases, in order.
fn phases(pushed: &Pushed) -> Vec<String> {
    let name = |line: &serde_json::Value| line["name"].as_str().unwrap_or_default().to_owned();
    pushed.events("phase").iter().map(name).collect()
}

/// A plan in JSON, which is not an event of its own in `plan`.
fn note(plan: &serde_json::Value, vm: &str) -> String {
    let moves = plan["moves"].as_array().unwrap();
    moves.iter().find(|m| m["vm"] == vm).unwrap()["notes"].to_string()
}

#[test]
fn the_hypervisor_builds_what_it_runs() {
    let lab = Lab::up(&["--nixos-paths"]);
    let runner = lab.desired("vm1");

    // A plan sends derivations, says so, and leaves nothing held.
    let planned = lab.laptop(&[&["deployvm", "plan", "-H", HYPERVISOR, "--json"], &THERE[..]].concat());
    let plan: serde_json::Value = serde_json::from_str(planned.expect(0).stdout.trim()).unwrap();
    assert!(note(&plan, "vm1").contains("derivations were sent"), "{plan}");
    assert_eq!(plan["moves"][0]["bytes_to_send"], 0, "{plan}");
    lab.nothing_held();
    assert!(!lab.has_here(&runner) && lab.was_built_there(&runner));
    assert_eq!(lab.hv("ls -A /var/lib/microvms").stdout, "");

    // What is there is neither built nor copied.
    let pushed = lab.push(&THERE).expect(0);
    assert_eq!(phases(&pushed), ["connect", "evaluate", "look", "switch"], "{}", pushed.0);
    for vm in ["vm1", "vm2"] {
        lab.answers(vm, &format!("{vm} version 1"));
        let runner = pushed.vm_is(vm, "deployed", 0)["to"].as_str().unwrap().to_owned();
        lab.vm(vm).runs(&lab, &runner);
        assert!(!lab.has_here(&runner) && lab.was_built_there(&runner), "{runner}");
    }
    lab.nothing_held();

    // A change, with its log; unchanged VMs are not built, and nothing is when nothing changed.
    lab.slow_app("echo the app of ${name} is built");
    lab.edit_vm("vm2", r#"version = "slow";"#);
    let pushed = lab.push(&THERE).expect(0);
    assert_eq!(phases(&pushed), ["connect", "evaluate", "look", "send", "build-there", "switch"]);
    let logs = pushed.events("build-log");
    assert!(logs.iter().any(|l| l["line"] == "the app of vm2 is built"), "{logs:?}");
    lab.answers("vm2", "vm2 version slow");
    let other = lab.vm("vm1");
    let again = lab.push(&THERE).expect(0);
    again.vm_is("vm1", "unchanged", 0);
    again.vm_is("vm2", "unchanged", 0);
    assert_eq!(phases(&again), ["connect", "evaluate", "look"]);
    assert_eq!(lab.vm("vm1"), other);
    lab.nothing_held();
    lab.tidy();
}

#[test]
fn a_build_that_fails_there_says_why_and_where() {
    let lab = Lab::deployed(&[]);
    let before = lab.vm("vm2");
    lab.edit_vm("vm2", r#"fault = "build";"#);
    let failed =
        lab.laptop(&[&["deployvm", "push", "-y", "-v", "-H", HYPERVISOR], &THERE[..]].concat()).expect(10);
    failed.says("cannot build broken-1.0 for vm2 on the hypervisor: builder failed with exit code 1");
    failed.says("build: checking for a compiler... none");
    failed.says("no VM was touched; derivations were sent");
    // The command that it names shows the log.
    let said = failed.said();
    let command = said.split("the whole log:").nth(1).unwrap();
    let words: Vec<&str> = command.split_whitespace().take(5).collect();
    assert_eq!(words[..4], ["ssh", HYPERVISOR, "nix-store", "--read-log"], "{said}");
    assert!(lab.laptop(&words).expect(0).stdout.contains("vm2: this derivation fails on purpose"));
    assert_eq!(lab.vm("vm2"), before);
    lab.nothing_held();
    lab.tidy();
}

#[test]
fn a_build_there_ends_with_its_owner() {
    let lab = Lab::deployed(&[]);
    let before = lab.vm("vm2");
    lab.slow_app("echo slow begins; sleep 100; echo slow ends");
    lab.edit_vm("vm2", r#"version = "slow";"#);
    let begin = || {
        let running = lab.pushing(&THERE, &[]);
        until("the slow part", 60, || {
            let said = running.stdout();
            if said.contains("slow begins") { Ok(()) } else { Err(said) }
        });
        assert!(lab.hv("systemctl list-units 'deployvm-build-*'").stdout.contains("running"));
        running
    };

    let interrupted = begin();
    interrupted.signal("INT");
    interrupted.wait(60).expect(130);
    lab.nothing_held();

    // Nobody says goodbye.
    let killed = begin();
    killed.signal("KILL");
    killed.wait(30);
    until("the build is stopped", 60, || {
        let left = lab.hv(
            "systemctl list-units --all --no-legend 'deployvm-build-*'; ls -A /nix/var/nix/gcroots/deployvm",
        );
        if left.stdout.is_empty() { Ok(()) } else { Err(left.stdout) }
    });
    until("its script has ended", 60, || {
        let left =
            lab.hv("ls /run/deployvm | grep ^build- || :; ps axo args | grep '[n]ix-store --realise' || :");
        if left.stdout.is_empty() { Ok(()) } else { Err(left.stdout) }
    });
    assert_eq!(lab.vm("vm2"), before);
    lab.tidy();
}

/// The hypervisor calls itself i686, and so do the VMs: another system than the laptop's.
#[test]
fn another_system_is_built_there_unless_it_is_here_already() {
    let lab = Lab::up(&[]);
    lab.hv("mkdir -p /etc/systemd/system/ssh.service.d
        printf '[Service]\\nPersonality=x86\\n' >/etc/systemd/system/ssh.service.d/lab.conf
        systemctl daemon-reload; systemctl restart ssh")
        .expect(0);
    let parts = lab.flake().join("parts.nix");
    let text = std::fs::read_to_string(&parts).unwrap();
    std::fs::write(&parts, text.replace("x86_64-linux", "i686-linux")).unwrap();
    lab.commit();
    let (one, two) = (lab.desired("vm1"), lab.desired("vm2"));
    let features = ["--extra-experimental-features", "nix-command flakes"];
    let attribute = ".#nixosConfigurations.vm1.config.microvm.declaredRunner";
    lab.laptop(&[&["nix", "build", "--no-link"], &features[..], &[attribute]].concat()).expect(0);
    assert!(lab.has_here(&one) && !lab.has_here(&two));

    let pushed = lab.push(&[]).expect(0);
    let expected = ["connect", "evaluate", "look", "send", "build-there", "copy", "switch"];
    assert_eq!(phases(&pushed), expected, "{}", pushed.0);
    assert!(lab.has_there(&one) && !lab.was_built_there(&one), "vm1's was copied");
    assert!(!lab.has_here(&two) && lab.was_built_there(&two), "vm2's was built there");
    for vm in ["vm1", "vm2"] {
        lab.answers(vm, &format!("{vm} version 1"));
    }
    lab.nothing_held();
    lab.tidy();

    // And a system that is neither's is refused.
    let text = std::fs::read_to_string(&parts).unwrap();
    std::fs::write(&parts, text.replace("i686-linux", "riscv64-linux")).unwrap();
    lab.commit();
    let refused = lab.laptop(&["deployvm", "push", "-y", "-H", HYPERVISOR]).expect(2);
    refused.says("is for riscv64-linux, and the hypervisor hv is i686-linux");
}
