//! A hypervisor that lies, talks or says nothing, and state on it as an attacker or another
//! admin would shape it: nothing is run or followed, and everything is told.

use std::process::Command;

use crate::harness::{HYPERVISOR, Lab};
use crate::running::{Output, Running, until};

/// KiB of address space that deployvm gets, and Nix below it: what both need, and far less
/// than what is offered here.
const MOST_KIB: u32 = 2_000_000;

fn bounded(lab: &Lab, args: &[&str]) -> Command {
    let limit = format!("ulimit -v {MOST_KIB}; exec \"$0\" \"$@\"");
    let mut command = lab.command(&["sh", "-c", &limit, env!("CARGO_BIN_EXE_deployvm")]);
    command.args(args).args(["-H", HYPERVISOR, "--yes"]);
    command
}

fn deployvm(lab: &Lab, args: &[&str]) -> Output {
    Running::start(bounded(lab, args), false).wait(200)
}

/// The same without a limit, where something is built.
fn push(lab: &Lab, vm: &str) -> Output {
    lab.laptop(&["deployvm", "push", vm, "-H", HYPERVISOR, "--yes"])
}

/// From now on, whatever the laptop asks over ssh is answered by this script.
fn answers_with(lab: &Lab, script: &str) {
    std::fs::write(lab.disk("/root/lie"), format!("#!/bin/sh\n{script}\n")).unwrap();
    lab.hv("chmod 755 /root/lie
        grep -q command= /root/.ssh/authorized_keys ||
            sed -i 's|^|command=\"/root/lie\" |' /root/.ssh/authorized_keys")
        .expect(0);
}

/// All of the state there, but for times.
fn state(lab: &Lab) -> String {
    lab.hv("find /var/lib/microvms /var/lib/deployvm /nix/var/nix/gcroots /etc /srv -printf '%p %l %u %m %s\n' | sort | sha256sum
        ls /nix/store | wc -l")
        .expect(0)
        .stdout
}

/// `ForceCommand` and its like.
#[test]
fn a_hypervisor_that_lies() {
    let lab = Lab::deployed(&["--vms", "1"]);
    lab.edit_vm("vm1", "version = \"2\";");
    let before = (state(&lab), lab.vm("vm1"));
    let untouched = || assert_eq!((state(&lab), lab.vm("vm1")), before);

    // Names that the hypervisor, or the flake, is asked about.
    for verb in "history start stop restart rollback logs check status plan push prune diff doctor".split(' ')
    {
        for name in ["$(touch /root/executed)", "a\nb", "-oProxyCommand=touch executed"] {
            let said = lab.laptop(&["deployvm", verb, "-H", HYPERVISOR, "--yes", "--", name]).expect(2);
            assert!(!said.said().contains("panicked"), "{said}");
        }
    }
    assert!(!lab.disk("/root/executed").exists() && !lab.flake().join("executed").exists());
    untouched();

    for (lie, says) in [
        ("head -c 3000000 /dev/urandom", "the hypervisor's login did not run observe"),
        ("head -c 40000000 /dev/zero", "longer than 16 MiB"),
        ("cat /dev/zero", "longer than 16 MiB"),
        ("while :; do head -c 100000 /dev/zero | tr '\\0' 'x'; echo; done", "longer than 16 MiB"),
        ("echo 'This account is currently not available.'; exit 1", "not available"),
        ("printf '\\n\\000deployvm-begin\\000host\\000hv\\000'", "no whole answer to observe"),
        ("kill -9 $PPID", "no whole answer to observe"),
        ("yes no | head -c 20000000 >&2; exit 3", "the hypervisor's login did not run observe"),
    ] {
        answers_with(&lab, lie);
        deployvm(&lab, &["push"]).expect(11).says(says).says("nothing was changed on the hypervisor");
        deployvm(&lab, &["history"]).expect(11).says(says);
    }
    untouched();

    // It says that all is well, whatever it is asked, and names that are none.
    let forged = "printf '\\n\\000deployvm-begin\\000'
        printf '%s\\000' host hv uid 0 nix 'nix (Nix) 2.8.0' systemd 'systemd 252' store_free 99999999 state_free 99999999 \\
            memory 99999999 bridge br0 vm '../../x' current /etc vm vm1 current '$(touch /root/x)' locked \"$(printf '\\033[2J')\" \\
            ledger '[[[[' odd '; reboot'
        printf 'deployvm-end\\0000\\000'";
    answers_with(&lab, forged);
    let said = deployvm(&lab, &["status", "--no-eval"]).expect(0);
    assert!(!said.said().contains('\u{1b}'), "{said}");
    deployvm(&lab, &["push"]).expect(12).says("vm1").says("it is locked by");
    deployvm(&lab, &["rollback", "vm1"]).expect(12);
    let unlocked = forged.replace("locked", "unlocked");
    answers_with(&lab, &unlocked);
    deployvm(&lab, &["push"]).expect(20).says("cannot copy to the hypervisor");
    untouched();
}

/// All at once, because it takes as long as anybody waits.
#[test]
fn a_hypervisor_that_is_silent_or_slow() {
    let lab = Lab::up(&["--vms", "1"]);
    let asked = |who: &str| {
        until(&format!("{who} is asked"), 60, || match lab.disk(&format!("/root/{who}")).exists() {
            true => Ok(()),
            false => Err("not yet".to_owned()),
        });
    };
    // The session that keeps the connection alive comes first, and asks for nothing.
    let once_asked = |who: &str, then: &str| {
        answers_with(&lab, &format!("case $SSH_ORIGINAL_COMMAND in xargs*) : >/root/{who} ;; esac; {then}"));
    };
    once_asked("silent", "sleep 1000");
    let silent = Running::start(bounded(&lab, &["status", "--no-eval"]), false);
    asked("silent");
    once_asked("slow", "while :; do echo still there; sleep 1; done");
    let slow = Running::start(bounded(&lab, &["push"]), false);
    asked("slow");
    // And one that never says whether the key will do.
    lab.hv("printf '#!/bin/sh\\nsleep 1000\\n' >/root/keys; chmod 755 /root/keys
        printf 'AuthorizedKeysFile none\\nAuthorizedKeysCommand /root/keys\\nAuthorizedKeysCommandUser root\\nLoginGraceTime 0\\n' \\
            >/etc/ssh/sshd_config.d/keys.conf
        systemctl restart ssh")
        .expect(0);
    let undecided = Running::start(bounded(&lab, &["history"]), false);
    undecided.wait(200).expect(11).says("port 22 timed out").says("nothing was changed");
    for running in [silent, slow] {
        let said = running.wait(200).expect(11);
        said.says("did not answer observe in time").says("nothing was changed on the hypervisor");
    }
}

#[test]
fn login_shells_and_what_they_say() {
    let lab = Lab::up(&["--vms", "1", "--shells"]);
    let shell = |path: &str| drop(lab.hv(&format!("usermod -s {path} root")).expect(0));
    for (number, path) in ["/usr/bin/fish", "/usr/bin/zsh", "/bin/dash", "/bin/bash"].into_iter().enumerate()
    {
        shell(path);
        lab.edit_vm("vm1", &format!("version = \"{number}\";"));
        lab.push(&[]).expect(0).vm_is("vm1", "deployed", 0);
        lab.answers("vm1", &format!("vm1 version {number}"));
    }
    lab.edit_vm("vm1", "version = \"9\";");
    let before = lab.vm("vm1");
    shell("/usr/sbin/nologin");
    for verb in ["status", "push", "history"] {
        deployvm(&lab, &[verb]).expect(11).says("login did not run observe").says("not available");
    }

    // A banner of sshd, which hurts nobody, and rc files that talk.
    lab.hv("echo 'Unauthorized use is prohibited' >/etc/issue.net
        echo 'Banner /etc/issue.net' >/etc/ssh/sshd_config.d/banner.conf
        systemctl restart ssh
        mkdir -p /root/.config/fish
        for rc in .bashrc .zshenv .config/fish/config.fish; do echo 'echo Welcome to hv; echo \"it is cold here\"' >/root/$rc; done")
        .expect(0);
    for path in ["/bin/bash", "/usr/bin/zsh", "/usr/bin/fish"] {
        shell(path);
        deployvm(&lab, &["status"]).expect(0).says("outdated");
        let said = deployvm(&lab, &["push"]).expect(11);
        said.says("prints something before every command")
            .says("it is cold here")
            .says("nothing was changed");
    }
    lab.tidy();
    assert_eq!(lab.vm("vm1"), before);
    lab.hv("rm /root/.bashrc /root/.zshenv /root/.config/fish/config.fish").expect(0);
    lab.push(&[]).expect(0).vm_is("vm1", "deployed", 0);
}

/// Whoever runs VMs may write below the state directory.
#[test]
fn links_and_owners_of_others() {
    let lab = Lab::deployed(&["--vms", "3"]);
    for vm in ["vm1", "vm2", "vm3"] {
        lab.change_vm(vm, "version = \"2\";");
    }
    lab.commit();
    let old = lab.vm("vm1").current.unwrap();

    // Elsewhere.
    lab.hv("cd /var/lib/microvms; mv vm2 /srv/vm2; ln -s /srv/vm2 vm2
        ln -s /etc etc-link
        # Names that are none, and links that mean something to a shell, to Nix, or to nobody.
        mkdir 'a b' '$(touch x)' -- '-rf' \"$(printf 'new\\nline')\" vm1-7-link
        ln -s /nix/store vm1-7-link/current
        for d in o1:--help o2:path:/srv/flake o3:'/*/*/*/*/*' o4:/nix/store/../../srv/runner o5:'/nix/store/x y'; do
            mkdir ${d%%:*}; ln -s -- \"${d#*:}\" ${d%%:*}/current
        done
        mkdir o6; ln -s \"$(printf '/nix/store/a\\n/etc')\" o6/current
        chown -R microvm:kvm o?
        mkdir -p /srv/runner/bin /srv/flake
        echo '{ outputs = _: builtins.abort \"evaluated\"; }' >/srv/flake/flake.nix
        mkfifo /srv/runner/bin/microvm-run
        printf '#!/bin/sh\\ntouch /srv/executed\\necho vsock-connect\\n' >/srv/evil; chmod 755 /srv/evil
        mkdir -p /srv/evils/bin; cp /srv/evil /srv/evils/bin/socat
        echo /srv/evils/bin/socat >/srv/runner/bin/microvm-shutdown")
        .expect(0);
    let before = state(&lab);
    let elsewhere = lab.hv("ls -A /srv/vm2").expect(0).stdout;
    let said = deployvm(&lab, &["status", "--no-eval"]).expect(0);
    said.says("the directory of vm2 on the hypervisor is a link to elsewhere").says("o4");
    let said = push(&lab, "vm2").expect(12);
    said.says("its directory on the hypervisor is a link to elsewhere, and deployvm follows none");
    deployvm(&lab, &["stop", "vm2"]).expect(2).says("vm2");
    for vm in ["o1", "o2", "o3", "o4", "o5", "o6"] {
        deployvm(&lab, &["generations", vm]).expect(0);
        assert!(matches!(deployvm(&lab, &["rollback", vm]).code, 2 | 12));
    }
    assert_eq!(state(&lab), before);

    // What a runner that is none would have run as root.
    let script = format!(
        "{}\n{}",
        include_str!("../../src/host/scripts/prelude.sh"),
        include_str!("../../src/host/scripts/vsock.sh").replace("command -v socat", "command -v no-socat"),
    );
    std::fs::write(lab.disk("/srv/vsock.sh"), script).unwrap();
    let said =
        lab.hv("sh /srv/vsock.sh 1 deployvm-input-end | tr '\\0' '|'; test ! -e /srv/executed").expect(0);
    assert!(said.stdout.contains("|deployvm-end|0|") && !said.stdout.contains("/srv/"), "{said}");
    // What a real one brings is started as whoever runs VMs.
    assert!(said.stdout.contains("setpriv --reuid=microvm --regid=kvm"), "{said}");

    // A directory that set-booted cannot write: the VM would not come up again, in no way.
    lab.hv("chown nobody:nogroup /var/lib/microvms/vm1; chmod 755 /var/lib/microvms/vm1").expect(0);
    let up = lab.vm("vm1");
    push(&lab, "vm1").expect(12).says("directory-not-writable");
    assert_eq!((lab.vm("vm1"), up.current.as_deref()), (up.clone(), Some(old.as_str())));
    lab.hv("chown microvm:kvm /var/lib/microvms/vm1; chmod 775 /var/lib/microvms/vm1").expect(0);
    lab.tidy();
    let pushed = lab.push(&["vm1", "vm3"]).expect(0);
    pushed.vm_is("vm1", "deployed", 0);
    pushed.vm_is("vm3", "deployed", 0);
    // Nothing was followed and nothing written where the links lead.
    assert_eq!(lab.hv("ls -A /srv/vm2").expect(0).stdout, elsewhere);
    lab.hv("[ ! -e /etc/current ] && [ ! -e /etc/flake ] && [ ! -e /etc/booted ]").expect(0);
}

/// A ledger of a gibibyte, and bombs where JSON is expected.
#[test]
fn records_of_others() {
    let lab = Lab::deployed(&["--vms", "1"]);
    lab.edit_vm("vm1", "version = \"2\";");
    lab.push(&[]).expect(0);
    let real = lab.ledger().len();
    assert_eq!(real, 2);
    lab.hv("cd /var/lib/deployvm
        mv ledger.jsonl real
        truncate -s 1G ledger.jsonl
        { echo; cat real
          printf '{\"id\":\"deep\",\"vm\":\"vm1\",\"checks\":'; head -c 300000 /dev/zero | tr '\\0' '['; echo
          printf '{\"id\":\"long\",\"vm\":\"vm1\",\"reason\":\"'; head -c 300000 /dev/zero | tr '\\0' 'x'; echo '\"}'
          printf '{\"id\":\"number\",\"vm\":\"vm1\",\"generation\":'; head -c 300000 /dev/zero | tr '\\0' '9'; echo '}'
          printf '{\"id\":\"colour\",\"vm\":\"vm1\",\"reason\":\"\\\\u001b[2J\\\\u202e\",\"verb\":\"$(touch x)\"}\\n'
          printf '{\"id\":\"torn'
        } >>ledger.jsonl
        cp -r terms /srv/
        head -c 30000000 /dev/zero | tr '\\0' '[' >terms/vm1/2.json
        head -c 100000000 /dev/zero | tr '\\0' '9' >terms/vm1/99999999999999999999.json
        head -c 30000000 /dev/urandom >running/vm1")
        .expect(0);
    let said = deployvm(&lab, &["history", "vm1", "--json"]).expect(0);
    assert!(
        said.stdout.contains("\"id\":\"colour\"") && said.stdout.matches("\"deployed\"").count() == 2,
        "{}",
        said.stdout.len()
    );
    said.says("only the last 8 MiB of the ledger were read");
    let said = deployvm(&lab, &["history"]).expect(0);
    assert!(!said.said().contains(['\u{1b}', '\u{202e}']), "it drives the terminal");
    deployvm(&lab, &["status"]).expect(0).says("current");
    deployvm(&lab, &["generations", "vm1"]).expect(0);
    // There is enough to go back by, and to go on.
    lab.laptop(&["deployvm", "rollback", "vm1", "-H", HYPERVISOR, "--yes"]).expect(0);
    lab.answers("vm1", "vm1 version 1");
    lab.edit_vm("vm1", "version = \"3\";");
    lab.push(&[]).expect(0).vm_is("vm1", "deployed", 0);
    lab.answers("vm1", "vm1 version 3");
    let entries = lab.hv("tail -n 2 /var/lib/deployvm/ledger.jsonl").expect(0).stdout;
    assert!(entries.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{entries}");
    lab.tidy();
}
