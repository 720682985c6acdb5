//! How each fault is brought about, and how it is put right again afterwards.

use crate::harness::{HYPERVISOR, Lab};
use crate::running::{Running, until};

use super::cells::Fault::{self, *};

/// What a fault needs to know of the cell that it is in.
pub struct Scene<'a> {
    pub lab: &'a Lab,
    /// The deployvm under test.
    pub running: &'a Running,
    /// What vm1 ran before.
    pub old: &'a str,
    pub deadlines: [(&'static str, &'static str); 4],
}

/// Small disks: what is written is the same, but they can be made full.
const SMALL: &str = "
for place in /nix /var/lib/deployvm /var/lib/microvms; do
    mkdir -p $place
    mount -t tmpfs -o size=1G,mode=0755 tmpfs $place
done
mkdir -p /nix/store /nix/var/nix
chgrp kvm /var/lib/microvms; chmod 0775 /var/lib/microvms
";

/// As full as it can be: not a byte, not a name more.
const FULL: &str = r#"
for place in $places; do
    used=$(df -P -k $place | awk 'NR == 2 { print $3 }')
    names=$(df -P -i $place | awk 'NR == 2 { print $3 }')
    mount -o remount,size=${used}k,nr_inodes=$names $place
done
"#;

const ROOM: &str = "for place in $places; do mount -o remount,size=1G,nr_inodes=100000 $place; done";

impl Fault {
    fn places(self) -> &'static str {
        match self {
            StoreFull => "/nix",
            StateFull => "/var/lib/deployvm /var/lib/microvms",
            _ => "/run",
        }
    }

    /// Brings it about while a call stands at the gate.
    pub fn inject(self, scene: &Scene<'_>) {
        let lab = scene.lab;
        let hv = |text: &str| {
            lab.hv(text).expect(0);
        };
        match self {
            KillDeployvm => scene.running.signal("KILL"),
            KillSsh => {
                // The connection may be just in the making.
                until("an ssh", 30, || match lab.kill_on_laptop("ssh") {
                    0 => Err("none".to_owned()),
                    _ => Ok(()),
                });
            }
            LinkDown | LinkBlip => {
                lab.script("link", &["down"]).expect(0);
            }
            Reboot => {
                lab.script("reboot", &[]).expect(0);
            }
            PowerCut => {
                lab.script("reboot", &["--hard"]).expect(0);
            }
            KillQemu => hv("systemctl kill -s KILL --kill-who=main microvm@vm1"),
            UnitStop => hv(&on_unit("systemctl stop $unit")),
            // What takes over has decided, before anybody at the gate may.
            UnitKill => hv(&on_unit(
                "systemctl kill -s KILL $unit\nid=${unit%.service}\nid=${id#deployvm-*-vm1-}\n\
                 for round in $(seq 300); do [ ! -L /var/lib/deployvm/transactions/$id/decided ] || exit 0; sleep 0.1; done\n\
                 exit 1",
            )),
            StoreFull | StateFull | RunFull => hv(&format!("places='{}'\n{FULL}", self.places())),
            // Whoever has a file open may go on with it; nobody opens another.
            ReadOnly => hv("mkdir -p /var/lib/deployvm; mount --bind /var/lib/deployvm /var/lib/deployvm
                for round in 1 2 3 4 5 6 7 8 9; do
                    # Busy while somebody writes a line.
                    ! mount -o remount,bind,ro /var/lib/deployvm || exit 0
                    sleep 0.1
                done
                exit 1"),
            // The machine's clock is everybody's: what is there grows an hour older, and
            // `date` tells an hour later.
            Clock => hv(r#"
                find /var/lib/deployvm /run/deployvm /nix/var/nix/gcroots/deployvm /var/lib/microvms \
                    -exec touch -h -d "-1 hour" {} + 2>/dev/null || :
                printf '#!/bin/sh\nexec /usr/bin/date -d "+1 hour" "$@"\n' >/opt/lab/gate/later
                chmod 0755 /opt/lab/gate/later
                ln -sfn ../later /opt/lab/gate/bin/date"#),
            Collect => hv("nix-collect-garbage -d >/dev/null 2>&1"),
            OldCollected => hv(&format!("nix-store --delete --ignore-liveness {} 2>&1", scene.old)),
            SameVm | OtherVm => second(scene, self),
            Reload => hv("systemctl daemon-reload; systemctl daemon-reexec"),
            HostSwitch => hv("
                touch /etc/systemd/system/microvm@.service
                systemctl daemon-reload; systemctl daemon-reexec; systemctl daemon-reload
                systemctl restart systemd-networkd systemd-journald ssh"),
            NoSessions => hv("
                echo 'MaxSessions 0' >/etc/ssh/sshd_config.d/00-none.conf; systemctl reload ssh"),
        }
    }

    /// How long it lasts at most once the call has gone on; `None`: until the command ends.
    pub fn lasts(self) -> Option<u64> {
        match self {
            LinkBlip => Some(5),
            // Far longer than a switch takes, and shorter than deployvm's patience.
            StoreFull | StateFull | RunFull | ReadOnly => Some(60),
            _ => None,
        }
    }

    /// Puts right what it was.
    pub fn heal(self, lab: &Lab) {
        let hv = |text: &str| {
            lab.hv(text).expect(0);
        };
        match self {
            LinkDown | LinkBlip => {
                lab.script("link", &["up"]).expect(0);
            }
            Reboot | PowerCut => lab.gates(),
            StoreFull | StateFull | RunFull => hv(&format!("places='{}'\n{ROOM}", self.places())),
            // Whoever reads something there may go on.
            ReadOnly => hv("umount -l /var/lib/deployvm"),
            Clock => hv("ln -sfn ../gate /opt/lab/gate/bin/date"),
            NoSessions => hv("rm /etc/ssh/sshd_config.d/00-none.conf; systemctl reload ssh"),
            _ => {}
        }
    }
}

impl Lab {
    /// A lab whose disks can be made full.
    pub fn small_disks(&self) {
        self.hv(SMALL).expect(0);
    }
}

fn on_unit(text: &str) -> String {
    format!(
        "unit=$(systemctl list-units --plain --no-legend 'deployvm-push-vm1-*.service' \
         'deployvm-rollback-vm1-*.service' | cut -d' ' -f1)\n[ -n \"$unit\" ]\n{text}"
    )
}

/// Somebody else's push, from beginning to end, while the first one stands at the gate.
fn second(scene: &Scene<'_>, fault: Fault) {
    let lab = scene.lab;
    let vm = if fault == SameVm { "vm1" } else { "vm2" };
    let mut command =
        lab.command(&["deployvm", "push", "-H", HYPERVISOR, "--yes", "--json", "--flake", "../theirs", vm]);
    command.envs(scene.deadlines);
    let output = Running::start(command, false).wait(200);
    // Refused where the lock is held, or else done.
    assert!([0, 12].contains(&output.code), "the other push\n{output}");
    assert!(fault == SameVm || output.code == 0, "the other push\n{output}");
}
