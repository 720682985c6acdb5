//! Tokens and passwords: in no process's arguments but those that the user typed, on no
//! disk of the hypervisor, in nothing that deployvm says or keeps.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{HYPERVISOR, Lab};
use crate::running::{Output, Running};

const TOKEN: &str = "tokenThatNobodyMaySee";
const PASSWORD: &str = "passwordThatNobodyMaySee";
/// A value that is no secret, to see that the test can see.
const OPEN: &str = "wordThatMayBeSeen";

/// Programs of this machine that have a text in their arguments, but for what only
/// carries the typed command.
fn programs_with(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
    let lines = arguments.map(|a| String::from_utf8_lossy(&a).replace('\0', " "));
    lines.filter(|line| line.contains(text) && !line.contains("deployvm push")).collect()
}

/// Watches the arguments of all processes, the hypervisor's among them, until `work` ends:
/// those with the secret, and whether any had the other word.
pub fn watched(
    secret: &str,
    open: &str,
    work: impl FnOnce() -> Output,
) -> (Output, Vec<String>, Vec<String>) {
    let over = AtomicBool::new(false);
    let watch = || {
        let (mut leaks, mut seen) = (Vec::new(), Vec::new());
        while !over.load(Ordering::Relaxed) {
            leaks.extend(programs_with(secret));
            seen.extend(programs_with(open));
            // Not without a pause: what is watched needs a processor as well.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        (leaks, seen)
    };
    std::thread::scope(|scope| {
        let watcher = scope.spawn(watch);
        let output = work();
        over.store(true, Ordering::Relaxed);
        let (leaks, seen) = watcher.join().unwrap();
        (output, leaks, seen)
    })
}

/// What of a text is on the hypervisor's disk, in its journal, or in deployvm's cache.
pub fn kept(lab: &Lab, text: &str) -> String {
    let places = "/var/lib/deployvm /var/lib/microvms /run/deployvm /nix/var/nix/gcroots /etc /root";
    let there = lab
        .hv(&format!("grep -rlFs '{text}' {places} || :; journalctl -q --no-pager | grep -F '{text}' || :"));
    let cache = lab.dir.join("home/.cache/deployvm").display().to_string();
    let here = lab.laptop(&["grep", "-rlFs", text, &cache]);
    there.stdout + &here.stdout
}

#[test]
fn secrets_stay_where_they_are() {
    let lab = Lab::up(&[]);
    let tokens = format!("github.com={TOKEN}");
    let options = ["--option", "access-tokens", &tokens, "--option", "user-agent-suffix", OPEN];
    for json in [&[][..], &["--json"]] {
        let version = json.len() + 1;
        lab.edit_vm("vm2", &format!("version = \"{version}\";"));
        let argv = [
            &["deployvm", "push", "-H", HYPERVISOR, "--yes", "-vv", "--build-on", "hypervisor", "vm2"],
            &options[..],
            json,
        ];
        let command = lab.command(&argv.concat());
        let (output, leaks, seen) = watched(TOKEN, OPEN, || Running::start(command, false).wait(300));
        let output = output.expect(0);
        lab.answers("vm2", &format!("vm2 version {version}"));
        assert_eq!(leaks, Vec::<String>::new());
        // On this machine and there: nix evaluates, and nix-store builds.
        for program in ["flake metadata", "nix-store --realise"] {
            assert!(seen.iter().any(|line| line.contains(program)), "{program}: {seen:#?}");
        }
        assert!(!output.said().contains(TOKEN), "{output}");
    }
    assert_eq!(kept(&lab, TOKEN), "");

    // In the flake's URL it is refused; in that of the repository's remote it is left out.
    let url = format!("git+http://me:{PASSWORD}@127.0.0.1:1/infra/.git?ref=main");
    let argv = ["deployvm", "push", "-H", HYPERVISOR, "--yes", "-vv", "--flake", &url];
    let command = lab.command(&argv);
    let (output, leaks, _) = watched(PASSWORD, OPEN, || Running::start(command, false).wait(60));
    let refused = output.expect(2);
    assert_eq!(leaks, Vec::<String>::new());
    refused.says("--flake has a user, password or token");
    assert!(!refused.said().contains(PASSWORD), "{refused}");
    let remote = format!("http://me:{PASSWORD}@127.0.0.1:8080/infra/.git");
    lab.laptop(&["git", "remote", "add", "origin", &remote]).expect(0);
    let command = lab.command(&["deployvm", "push", "-H", HYPERVISOR, "--yes", "-vv", "--json", "vm1"]);
    let (output, leaks, _) = watched(PASSWORD, OPEN, || Running::start(command, false).wait(300));
    let pushed = output.expect(0);
    assert_eq!(leaks, Vec::<String>::new());
    lab.answers("vm1", "vm1 version 1");
    assert!(!pushed.said().contains(PASSWORD), "{pushed}");
    let flake = lab.hv("cat /var/lib/microvms/vm1/flake").stdout;
    assert_eq!(flake.trim(), "git+http://127.0.0.1:8080/infra/.git");
    let history = lab.laptop(&["deployvm", "history", "--json", "-H", HYPERVISOR]).expect(0);
    assert!(!history.said().contains(PASSWORD), "{history}");
    assert_eq!(kept(&lab, PASSWORD), "");
}
