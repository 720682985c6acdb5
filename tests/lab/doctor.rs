//! `doctor` on a healthy lab, and on one in which faults are planted, one after the
//! other: each is found, and nothing else, and the command that it names mends it.

use serde_json::Value;

use crate::harness::Lab;
use crate::running::{Output, until};

/// A reference that a hypervisor could use.
const FLAKE: &str = "git+https://example.org/infra";

/// How a fault goes away.
enum Mend {
    /// By the command that the finding names.
    Typed,
    /// By this on the hypervisor, after what the finding says in words.
    By(&'static str),
}
use Mend::{By, Typed};

fn ward() -> Lab {
    let lab = Lab::up(&[]);
    settings(&lab, "");
    lab.laptop(&["deployvm", "push", "-H", "hv", "--yes"]).expect(0);
    for vm in lab.vms() {
        lab.answers(&vm, &format!("{vm} version 1"));
    }
    lab
}

fn settings(lab: &Lab, more: &str) {
    let text = format!("[hypervisors.hv]\naddress = \"root@10.99.0.2\"\nflake = \"{FLAKE}\"\n{more}");
    lab.write("deployvm.toml", &text);
}

/// With these variables.
fn doctor(lab: &Lab, variables: &[&str], more: &[&str]) -> (Output, Vec<Value>) {
    let words = ["-H", "hv", "--json"];
    let argv = [&["env"], variables, &[env!("CARGO_BIN_EXE_deployvm"), "doctor"], &words, more].concat();
    let output = lab.laptop(&argv);
    let object: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{output}"));
    assert_eq!(object["schema"], 1);
    let findings = object["findings"].as_array().unwrap().clone();
    let to_mend = findings.iter().any(|finding| finding["severity"] != "note");
    assert_eq!(output.code, if to_mend { 32 } else { 0 }, "{output}");
    (output, findings)
}

fn ids(findings: &[Value]) -> String {
    let one = |finding: &Value| {
        format!("{} {}", finding["id"].as_str().unwrap(), finding["where"].as_str().unwrap())
    };
    findings.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Until these and no others are found: what mends may take its time to have mended.
#[track_caller]
fn finds(lab: &Lab, wanted: &str, variables: &[&str], more: &[&str]) -> Vec<Value> {
    until(&format!("doctor finds {wanted:?}"), 60, || {
        let (output, findings) = doctor(lab, variables, more);
        if ids(&findings) == wanted { Ok(findings) } else { Err(output.to_string()) }
    })
}

/// Types what a finding says, on the laptop.
#[track_caller]
fn typed(lab: &Lab, finding: &Value) {
    let text = finding["mend"].as_str().unwrap();
    assert!(text.starts_with("ssh root@10.99.0.2 ") || text.starts_with("deployvm "), "no command: {text}");
    let program = env!("CARGO_BIN_EXE_deployvm");
    let text = match text.strip_prefix("deployvm ") {
        Some(rest) => format!("{program} {rest} --yes"),
        None => text.to_owned(),
    };
    lab.laptop(&["sh", "-c", &text]).expect(0);
}

#[track_caller]
fn plant(lab: &Lab, wanted: &str, how: &str, mend: &Mend) {
    lab.hv(how).expect(0);
    let findings = finds(lab, wanted, &[], &[]);
    match mend {
        Typed => typed(lab, &findings[0]),
        By(text) => drop(lab.hv(text).expect(0)),
    }
}

/// A microVM that nobody declared: its files, and its program.
const FAKE: &str = r#"
fake() {
    rm -rf /tmp/fake && mkdir -p /tmp/fake/bin /tmp/fake/share/microvm && echo "$1" >/tmp/fake/bin/microvm-run
    chmod +x /tmp/fake/bin/microvm-run && echo "${2-}" >/tmp/fake/share/microvm/tap-interfaces
    echo "${3-}" >/tmp/fake/share/microvm/vsock-cid
    runner=$(nix-store --add /tmp/fake) vm=/var/lib/microvms/vm9
    install -d -o microvm -g kvm -m 0775 $vm && echo github:me/infra >$vm/flake && ln -sfn $runner $vm/current
    ln -sfn $vm/current /nix/var/nix/gcroots/microvm/vm9
    ln -sfn $vm/booted /nix/var/nix/gcroots/microvm/booted-vm9
}
stub() {
    mkdir -p /run/current-system/sw/bin
    printf '#!/bin/sh\n%s\n' "$2" >/run/current-system/sw/bin/$1
    chmod +x /run/current-system/sw/bin/$1
}
vms=/var/lib/microvms own=/var/lib/deployvm id=20260101t000000-aaaaaa
"#;
const NO_FAKE: &str = "rm -rf /var/lib/microvms/vm9 /nix/var/nix/gcroots/microvm/*vm9";
const NO_STUB: &str = "rm -r /run/current-system/sw/bin";

const FAULTS: &[(&str, &str, Mend)] = &[
    // The network.
    // First, while networkd is at rest: whenever the bridge comes up it gives it its address.
    ("bridge-address hypervisor", "ip address flush dev br-vm1", Typed),
    ("tap-down vm1", "ip link set vm-vm1 down", Typed),
    ("bridge-down hypervisor", "ip link set br-vm1 down", Typed),
    (
        "tap-unbridged vm1",
        // It would put the tap back.
        "mv /etc/systemd/network/30-vm-vm1.network /root; networkctl reload; ip link set vm-vm1 nomaster",
        Typed,
    ),
    // Directories and links.
    ("directory-unwritable vm1", "chown root:root $vms/vm1; chmod 755 $vms/vm1", Typed),
    ("extra-hop vm1", "ln -sfn $own/profiles/vm1 $vms/vm1/current", Typed),
    (
        "current-dangling vm1",
        "ln -sfn /nix/store/00000000000000000000000000000000-gone $vms/vm1/current",
        Typed,
    ),
    ("current-dangling vm1", "ln -sfn /root $vms/vm1/current", Typed),
    ("current-missing vm1", "rm $vms/vm1/current", Typed),
    ("root-missing vm1", "rm /nix/var/nix/gcroots/microvm/booted-vm1", Typed),
    ("root-missing vm2", "ln -sfn /root /nix/var/nix/gcroots/microvm/vm2", Typed),
    ("flake-missing vm2", "rm $vms/vm2/flake", Typed),
    ("flake-unusable vm2", "echo git+file:///home/me/infra >$vms/vm2/flake", Typed),
    ("odd-name hypervisor", "mkdir \"$vms/a b\"", By("rmdir '/var/lib/microvms/a b'")),
    ("directory-linked vm8", "ln -s /root $vms/vm8", By("rm /var/lib/microvms/vm8")),
    (
        "generation-lost vm1",
        "ln -s /nix/store/00000000000000000000000000000000-gone $own/profiles/vm1-9-link",
        Typed,
    ),
    // What deployvm keeps.
    (
        "transaction-left vm1",
        r#"t=$own/transactions/$id; mkdir -p $t/p; echo vm1 >$t/p/vm; : >$t/alive
           printf 'printf "refused\\n12\\n\\nundo.not-started\\n\\n\\n" >"${0%%/*}/outcome"\n' >$t/transaction.sh"#,
        Typed,
    ),
    (
        "guard-left hypervisor",
        "systemd-run --quiet --unit=deployvm-guard-vm1-$id --on-active=1h /bin/true",
        Typed,
    ),
    (
        "root-left hypervisor",
        "cd /nix/var/nix/gcroots/deployvm; ln -s $vms/vm1/current $id-pending-1; touch -h -d '2 days ago' $id-pending-1",
        Typed,
    ),
    ("ledger-torn hypervisor", "printf '{\"id\":' >>$own/ledger.jsonl", Typed),
    (
        "ledger-unreadable hypervisor",
        "cp $own/ledger.jsonl /root/ledger; rm $own/ledger.jsonl; ln -s /root/ledger $own/ledger.jsonl",
        Typed,
    ),
    // Units.
    ("unit-failed vm1", "systemd-run --quiet --unit=microvm-extra@vm1.service /bin/false", Typed),
    (
        "host-unit hypervisor",
        "systemd-run --quiet --unit=dnsmasq-lab.service /bin/false",
        By("systemctl reset-failed dnsmasq-lab.service"),
    ),
    (
        "not-at-boot vm1",
        "rm /etc/systemd/system/microvms.target.wants/microvm@vm1.service; systemctl daemon-reload",
        Typed,
    ),
    (
        "install-skipped vm9",
        "printf '[Unit]\nConditionPathExists=!%s\n[Service]\nType=oneshot\nExecStart=/bin/true\n' $vms/vm9 \
         >/etc/systemd/system/install-microvm-vm9.service; systemctl daemon-reload; \
         install -d -o microvm -g kvm $vms/vm9",
        Typed,
    ),
    (
        "nix-daemon hypervisor",
        "printf '[Socket]\nListenStream=/run/lab.sock\nAccept=no\n' >/etc/systemd/system/nix-daemon.socket; \
         printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/nix-daemon.service; \
         rm /etc/systemd/system/install-microvm-vm9.service; systemctl daemon-reload",
        Typed,
    ),
    (
        "host-module hypervisor",
        "mv /etc/systemd/system/microvm@.service /root; systemctl daemon-reload",
        By("mv /root/microvm@.service /etc/systemd/system; systemctl daemon-reload"),
    ),
    (
        "restart-loop vm9",
        "fake '#!/bin/sh'; systemctl add-wants -q microvms.target microvm@vm9.service; systemctl start microvm@vm9",
        By("systemctl stop microvm@vm9; systemctl reset-failed 'microvm*@vm9.service' 2>/dev/null || :; \
            rm /etc/systemd/system/microvms.target.wants/microvm@vm9.service; systemctl daemon-reload; \
            rm -rf /var/lib/microvms/vm9 /nix/var/nix/gcroots/microvm/*vm9"),
    ),
    // What two VMs share, and what they ask for.
    ("same-mac hypervisor", "fake 'qemu -device x,mac=02:00:00:00:01:01'", By(NO_FAKE)),
    ("same-tap hypervisor", "fake true vm-vm1", By(NO_FAKE)),
    (
        "same-cid hypervisor",
        "fake true '' 7; cp -a $vms/vm9 $vms/vm7; ln -s $vms/vm7/current /nix/var/nix/gcroots/microvm/vm7",
        By("rm -rf /var/lib/microvms/vm[79] /nix/var/nix/gcroots/microvm/*vm[79]"),
    ),
    ("kvm hypervisor", "[ ! -e /dev/kvm ]; fake 'qemu -enable-kvm -cpu host'", By(NO_FAKE)),
    // The machine.
    ("clock hypervisor", "stub date 'exec /usr/bin/date -d \"+1 hour\" \"$@\"'", By(NO_STUB)),
    (
        "nix-old hypervisor",
        "stub nix '[ \"$1\" != --version ] || { echo \"nix (Nix) 2.3.16\"; exit; }; exec /usr/bin/nix \"$@\"'",
        By(NO_STUB),
    ),
    (
        "systemd-old hypervisor",
        "stub systemctl '[ \"$1\" != --version ] || { echo systemd 247; exit; }; exec /usr/bin/systemctl \"$@\"'",
        By(NO_STUB),
    ),
    (
        "disk hypervisor",
        "set -- $(stat -f -c '%S %b %f' /run); mount -o remount,size=$(($1 * ($2 - $3) * 21 / 20 / 1024))k /run",
        By("mount -o remount,size=50% /run"),
    ),
    (
        "inodes hypervisor",
        "set -- $(stat -f -c '%c %d' /run); mount -o remount,nr_inodes=$((($1 - $2) * 21 / 20)) /run",
        By("mount -o remount,nr_inodes=800k /run"),
    ),
    (
        "not-persistent hypervisor",
        "cp -a $own /root/own; mount -t tmpfs none $own; cp -a /root/own/. $own",
        By("umount /var/lib/deployvm; rm -r /root/own"),
    ),
    (
        "read-only hypervisor",
        "mount --bind $own $own; mount -o remount,ro,bind $own",
        By("umount /var/lib/deployvm"),
    ),
    ("program-missing hypervisor", "mv /usr/bin/curl /root", By("mv /root/curl /usr/bin")),
    (
        "flakes-off hypervisor",
        "ln -s /bin/true /usr/bin/microvm; sed -i 's/ flakes//' /etc/nix/nix.conf",
        Typed,
    ),
    // The login.
    ("login-talks hypervisor", "echo echo Welcome >/root/.bashrc", By("rm /root/.bashrc")),
    (
        "nix-path hypervisor",
        "mkdir -p /nix/var/nix/profiles/default/bin; mv /usr/bin/nix-daemon /nix/var/nix/profiles/default/bin",
        By("mv /nix/var/nix/profiles/default/bin/nix-daemon /usr/bin; rm -r /nix/var/nix/profiles/default"),
    ),
];

#[test]
fn planted_faults_are_found_and_mended() {
    let lab = ward();
    finds(&lab, "", &[], &[]);
    lab.laptop(&["deployvm", "doctor", "-H", "hv"]).expect(0).says("nothing to mend on this machine and hv");
    let vms = (lab.vm("vm1"), lab.vm("vm2"));
    for (wanted, how, mend) in FAULTS {
        plant(&lab, wanted, &format!("{FAKE}{how}"), mend);
    }
    finds(&lab, "", &[], &[]);
    // Looking and mending have touched neither.
    assert_eq!(vms, (lab.vm("vm1"), lab.vm("vm2")));
}

/// `deployvm` with these words.
#[track_caller]
fn run(lab: &Lab, words: &str) {
    let argv: Vec<&str> = words.split(' ').collect();
    lab.laptop(&[&["deployvm"], argv.as_slice(), &["-H", "hv", "--yes"]].concat()).expect(0);
}

#[test]
fn runners_that_are_not_what_they_should_be() {
    let lab = ward();
    lab.edit_vm("vm2", "version = \"2\";");
    run(&lab, "push vm2 --no-restart");
    let found = finds(&lab, "stale vm2", &[], &[]);
    // What is asked about others leaves it out.
    finds(&lab, "", &[], &["vm1"]);
    finds(&lab, "stale vm2", &[], &["vm*"]);
    assert_eq!(doctor_code(&lab, "vm7"), 2);
    typed(&lab, &found[0]);
    lab.answers("vm2", "vm2 version 2");
    finds(&lab, "", &[], &[]);

    let other = lab.vm("vm2").generations[&1].clone();
    lab.hv(&format!("ln -sfn {other} /var/lib/microvms/vm2/booted")).expect(0);
    typed(&lab, &finds(&lab, "other-runs vm2", &[], &[])[0]);
    finds(&lab, "", &[], &[]);
    lab.hv("ln -sfn /nix/store/00000000000000000000000000000000-gone /var/lib/microvms/vm2/booted").expect(0);
    typed(&lab, &finds(&lab, "booted-dangling vm2", &[], &[])[0]);
    lab.answers("vm2", "vm2 version 2");
    finds(&lab, "", &[], &[]);

    lab.hv("ip link delete vm-vm2").expect(0);
    typed(&lab, &finds(&lab, "tap-missing vm2", &[], &[])[0]);
    lab.answers("vm2", "vm2 version 2");
    finds(&lab, "", &[], &[]);

    // What the host's own configuration sets is a note, and nothing to mend.
    lab.script("host-owned", &["vm2"]).expect(0);
    let found = finds(&lab, "host-owned vm2", &[], &[]);
    assert_eq!(found[0]["severity"], "note");
    lab.hv(&format!("ln -sfn {other} /var/lib/microvms/vm2/current")).expect(0);
    typed(&lab, &finds(&lab, "host-reverts vm2, stale vm2", &[], &[])[0]);
    finds(&lab, "host-owned vm2", &[], &[]);
}

fn doctor_code(lab: &Lab, vm: &str) -> i32 {
    lab.laptop(&["deployvm", "doctor", "-H", "hv", vm]).code
}

#[test]
fn the_laptop_and_its_way_to_the_guests() {
    let lab = ward();
    let checks = "[vms.vm1.checks.web]\nhttp = \"http://10.1.0.2/\"\nfrom = [\"laptop\"]\n\
                  [vms.vm1.checks.inside]\nexec = [\"true\"]\nfrom = [\"vm\"]\n";
    settings(&lab, checks);
    finds(&lab, "", &[], &[]);
    let route = ["route", "10.0.0.0/8", "via", "10.99.0.2"];
    let ip = |verb: &str| drop(lab.laptop(&["ip", route[0], verb, route[1], route[2], route[3]]).expect(0));
    ip("del");
    finds(&lab, "no-route laptop", &[], &[]);
    ip("add");
    lab.hv("echo 0 >/proc/sys/net/ipv4/ip_forward").expect(0);
    typed(&lab, &finds(&lab, "no-forwarding hypervisor", &[], &[])[0]);

    // A guest that lets nobody in, and one that cannot.
    let known = lab.dir.join("home/.ssh/known_hosts");
    let hosts = std::fs::read_to_string(&known).unwrap();
    std::fs::write(&known, hosts.lines().next().unwrap().to_owned() + "\n").unwrap();
    finds(&lab, "check-cannot-run vm1", &[], &[]);
    std::fs::write(&known, &hosts).unwrap();
    settings(&lab, "[vms.vm2.checks.inside]\nexec = [\"true\"]\nfrom = [\"vm\"]\n");
    finds(&lab, "check-cannot-run vm2", &[], &[]);
    settings(&lab, "");

    finds(&lab, "ssh-agent laptop", &["SSH_AUTH_SOCK=/nowhere"], &[]);
    let bin = lab.dir.join("home/bin");
    std::fs::create_dir(&bin).unwrap();
    for program in ["ssh", "ip", "uname", "kill"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{program}"), bin.join(program)).unwrap();
    }
    finds(&lab, "laptop-nix-missing laptop", &[&format!("PATH={}", bin.display())], &[]);
    let broken = ["NIX_STATE_DIR=/proc/nowhere"];
    finds(&lab, "laptop-nix-store laptop", &broken, &[]);

    // Nobody lets us in: that is a finding, too.
    std::fs::write(&known, "").unwrap();
    let found = finds(&lab, "no-way-in laptop", &[], &[]);
    assert!(found[0]["what"].as_str().unwrap().contains("host key"), "{found:?}");
    std::fs::write(&known, &hosts).unwrap();
    lab.hv("usermod -s /usr/sbin/nologin root").expect(0);
    finds(&lab, "no-answer hypervisor", &[], &[]);
    lab.hv("usermod -s /bin/bash root").expect(0);
    finds(&lab, "", &[], &[]);
}

#[test]
fn a_login_that_is_not_root() {
    let lab = Lab::up(&["--deploy-user", "--vms", "1"]);
    lab.write("deployvm.toml", "[hypervisors.hv]\naddress = \"deploy@10.99.0.2\"\n");
    let found = finds(&lab, "no-answer hypervisor", &[], &[]);
    let rule = "deploy ALL=(root) NOPASSWD: /usr/bin/xargs -0 -x -n 4000 sh -c";
    assert!(found[0]["mend"].as_str().unwrap().contains(rule), "{found:?}");
    lab.hv(&format!("umask 337; echo '{rule}' >/etc/sudoers.d/deployvm")).expect(0);
    finds(&lab, "untrusted hypervisor", &[], &[]);
    lab.hv("systemctl stop nix-daemon.socket nix-daemon.service").expect(0);
    let found = finds(&lab, "nix-daemon hypervisor, untrusted hypervisor", &[], &[]);
    assert_eq!(found[0]["mend"], "ssh deploy@10.99.0.2 'sudo systemctl start nix-daemon.socket'");
    lab.hv("systemctl start nix-daemon.socket").expect(0);
    finds(&lab, "untrusted hypervisor", &[], &[]);
    lab.hv("echo 'trusted-users = root deploy' >>/etc/nix/nix.conf; systemctl restart nix-daemon").expect(0);
    finds(&lab, "", &[], &[]);
}
