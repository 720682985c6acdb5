//! What receives a copy on the hypervisor when the line dies in the middle: it ends by
//! itself, and who comes next is told whom the copying waits for.

use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::{Running, until};

/// For `ss` on the hypervisor silence lasts as many times as long as this file says.
const SOONER: &str = r#"
mkdir -p /run/current-system/sw/bin
cat >/run/current-system/sw/bin/ss <<'END'
#!/bin/sh
times=$(cat /srv/times 2>/dev/null)
/usr/bin/ss "$@" | awk -v times="${times:-1}" '{ for (i = 1; i <= NF; i++) if ($i ~ /^lastrcv:/) $i = "lastrcv:" substr($i, 9) * times; print }'
END
chmod 0755 /run/current-system/sw/bin/ss
"#;

/// Each receiver: its process id, its push, its port on the laptop, and bytes from there.
const RECEIVERS: &str = r"
for file in $(grep -l -a -z ^DEPLOYVM_PUSH= /proc/[0-9]*/environ 2>/dev/null); do
    pid=${file#/proc/} pid=${pid%/environ}
    push=$(tr '\000' '\n' <$file | sed -n 's/^DEPLOYVM_PUSH=//p')
    port=$(tr '\000' '\n' <$file | sed -n 's/^SSH_CLIENT=[^ ]* \([0-9]*\) .*/\1/p')
    echo $pid $push $port $(/usr/bin/ss -HtniO dport = :$port | sed -n 's/.*bytes_received:\([0-9]*\).*/\1/p')
done 2>/dev/null || :
";

/// What is left of a copy: receivers, who watches over them, roots and files.
const LEFT: &str = r"
grep -l -a -z ^DEPLOYVM_PUSH= /proc/[0-9]*/environ 2>/dev/null || :
ps axo args | grep '^sh -c .*[ ]receive [0-9]' || :
ls -A /nix/var/nix/gcroots/deployvm 2>/dev/null || :
ls -A /run/deployvm 2>/dev/null | grep ^.receive- || :
";

struct Receiver {
    push: String,
    port: String,
}

impl Lab {
    fn receivers(&self) -> Vec<Vec<String>> {
        let said = self.hv(RECEIVERS).expect(0).stdout;
        said.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    }

    /// A lab with a VM whose copying takes half a minute.
    fn slow_to_copy(options: &[&str]) -> Self {
        let lab = Self::up(options);
        lab.hv(SOONER).expect(0);
        lab.slow_app("head -c 40000000 /dev/urandom >$out/big");
        lab.edit_vm("vm2", r#"version = "slow";"#);
        lab.limited(true);
        lab
    }

    /// From now on a minute of silence takes 15 s.
    fn sooner(&self) {
        self.hv("echo 4 >/srv/times").expect(0);
    }

    /// Makes what the laptop sends slow, or fast again.
    fn limited(&self, yes: bool) {
        let tc = ["tc", "qdisc", if yes { "add" } else { "del" }, "dev", "lap0", "root"];
        let how = ["tbf", "rate", "12mbit", "burst", "64kb", "latency", "300ms"];
        self.laptop(&[&tc[..], if yes { &how } else { &[] }].concat()).expect(0);
    }

    /// Waits until the big path is really under way.
    #[track_caller]
    fn copying(&self) -> Receiver {
        until("a receiver", 90, || {
            let all = self.receivers();
            match all.as_slice() {
                [one]
                    if one
                        .get(3)
                        .is_some_and(|it| it.parse::<u64>().is_ok_and(|bytes| bytes > 4_000_000)) =>
                {
                    Ok(Receiver { push: one[1].clone(), port: one[2].clone() })
                }
                _ => Err(format!("{all:?}")),
            }
        })
    }

    #[track_caller]
    fn nothing_left_of_a_copy(&self, seconds: u64) {
        until("nothing is left of a copy", seconds, || {
            let left = self.hv(LEFT).expect(0).stdout;
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    }
}

fn waits(pushed: &Pushed) -> Vec<String> {
    let message = |e: &serde_json::Value| e["message"].as_str().unwrap().to_owned();
    let all = pushed.events("warning").iter().map(message).collect::<Vec<_>>();
    all.into_iter().filter(|m| m.starts_with("copying waits for")).collect()
}

#[test]
fn a_receiver_that_a_dead_line_leaves_ends_by_itself() {
    let lab = Lab::slow_to_copy(&[]);
    let push = lab.pushing(&["vm2"], &[]);
    let receiver = lab.copying();
    lab.sooner();
    lab.script("link", &["down"]).expect(0);
    let ended = Pushed(push.wait(90)).expect(20);
    assert_eq!(ended.0.stdout.matches("copying waits").count(), 0, "{}", ended.0);
    // All of it with the line still down.
    lab.nothing_left_of_a_copy(60);
    assert!(lab.hv("ss -Htn state established").stdout.contains(&format!(":{}", receiver.port)));

    lab.script("link", &["up"]).expect(0);
    lab.limited(false);
    until("the line is up", 30, || match lab.laptop(&["ping", "-c", "1", "-W", "1", "10.99.0.2"]) {
        said if said.code == 0 => Ok(()),
        said => Err(said.said()),
    });
    let pushed = lab.push(&["vm2"]).expect(0);
    pushed.vm_is("vm2", "deployed", 0);
    assert_eq!(waits(&pushed), [""; 0], "{}", pushed.0);
    lab.answers("vm2", "vm2 version slow");
    lab.nothing_left_of_a_copy(60);
    lab.tidy();
}

#[test]
fn ctrl_c_while_copying_touches_the_store_only() {
    let lab = Lab::slow_to_copy(&[]);
    let push = lab.pushing(&["vm2"], &[]);
    lab.copying();
    push.signal("INT");
    let ended = Pushed(push.wait(60)).expect(20);
    ended.0.says("interrupted");
    assert_eq!((lab.transactions(), lab.ledger()), (vec![], vec![]), "nothing was begun");
    assert!(lab.vm("vm2").current.is_none());
    // The line lives, and still nobody receives any more.
    lab.nothing_left_of_a_copy(30);
    lab.tidy();

    lab.limited(false);
    lab.push(&["vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version slow");
    lab.tidy_but("-pending-");
}

/// Somebody's laptop dies while it copies; who comes next waits, is told, and goes on.
fn the_next_one_is_told(lab: &Lab, hypervisor: &str) {
    let begin = || {
        let argv = ["deployvm", "push", "-H", hypervisor, "--yes", "--json", "vm2"];
        Running::start(lab.command(&argv), false)
    };
    let first = begin();
    let receiver = lab.copying();
    // That laptop is switched off: nothing of its connection ever arrives again.
    lab.laptop(&["ip", "rule", "add", "ipproto", "tcp", "sport", &receiver.port, "blackhole"]).expect(0);
    // Nor is anything long ago until somebody was told.
    lab.hv("echo 0 >/srv/times").expect(0);
    first.signal("KILL");
    for name in ["nix", "ssh"] {
        lab.kill_on_laptop(name);
    }
    first.wait(10);
    lab.limited(false);
    assert!(lab.receivers().iter().any(|r| r.get(1) == Some(&receiver.push)), "it is still there");

    let second = begin();
    until("it is told", 60, || match second.stdout() {
        said if said.contains("copying waits for") => Ok(()),
        said => Err(said),
    });
    // Ended after a minute of silence, which is not over yet.
    lab.sooner();
    let pushed = Pushed(second.wait(200)).expect(0);
    pushed.vm_is("vm2", "deployed", 0);
    let said = waits(&pushed);
    assert_eq!(said.len(), 1, "told once\n{}", pushed.0);
    for part in [&format!("push {} (root@", receiver.push), " since 20", "the same path"] {
        assert!(said[0].contains(part), "{said:?}");
    }
    lab.answers("vm2", "vm2 version slow");
    lab.nothing_left_of_a_copy(60);
    lab.tidy();
}

#[test]
fn a_login_that_is_not_root_leaves_no_receiver_either() {
    let lab = Lab::slow_to_copy(&["--deploy-user"]);
    lab.hv("echo 'trusted-users = root deploy' >>/etc/nix/nix.conf; systemctl restart nix-daemon.service
        umask 337; echo 'deploy ALL=(root) NOPASSWD: /usr/bin/xargs -0 -x -n 4000 sh -c' >/etc/sudoers.d/deployvm")
        .expect(0);
    the_next_one_is_told(&lab, "deploy@10.99.0.2");
}

#[test]
fn who_comes_next_is_told_whom_copying_waits_for() {
    let lab = Lab::slow_to_copy(&[]);
    the_next_one_is_told(&lab, HYPERVISOR);

    // Somebody else's lock, and a line that lives: it is waited for beyond that minute.
    lab.edit_vm("vm2", r#"version = "3";"#);
    let attribute = ".#nixosConfigurations.vm2.config.microvm.declaredRunner";
    let features = ["--extra-experimental-features", "nix-command flakes"];
    let runner =
        lab.laptop(&[&["nix", "eval", "--raw"], &features[..], &[attribute]].concat()).expect(0).stdout;
    lab.hv(&format!("systemd-run -q --unit=lab-lock flock {runner}.lock sleep 300")).expect(0);
    let push = lab.pushing(&["vm2"], &[]);
    until("it is told", 60, || match push.stdout() {
        said if said.contains("copying waits for process") && said.contains("(flock)") => Ok(()),
        said => Err(said),
    });
    until("silence beyond the limit, but for signs of life", 60, || {
        let counted = lab.hv("stat -c %Y /run/deployvm/.receive-* && date +%s").stdout;
        let numbers: Vec<u64> = counted.lines().filter_map(|l| l.parse().ok()).collect();
        match numbers[..] {
            [began, now] if now > began + 25 => Ok(()),
            _ => Err(counted),
        }
    });
    assert_eq!(lab.receivers().len(), 1, "it was not ended");
    lab.hv("systemctl stop lab-lock").expect(0);
    Pushed(push.wait(120)).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 3");
    lab.nothing_left_of_a_copy(60);
    lab.tidy();
}
