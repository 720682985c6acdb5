# host.sh: one switch of the hypervisor's own system, as a transaction on it. begin.sh
# writes it into the transaction's directory as transaction.sh; the parts that it sources
# and probe.sh lie beside it. What runs is switched by the new system's own
# `switch-to-configuration test`, which leaves alone what the next boot starts: until the
# verdict, a crash or a power cut boots the old system by itself.
#
# arguments: run      the transaction itself (the transient unit's ExecStart)
#            guard    every few seconds by a timer: takes over when `run` died
#            stopped  the unit's ExecStopPost: the same, at once
#            close    by a later deployvm command: the same, after a reboot
# reads:     p/NAME one parameter each, c/NN/NAME one hypervisor-side check each
# writes:    events (followed by the laptop), before/ (what was there), decided
#            (a symlink whose target is the verdict: who makes it first decides),
#            console, outcome (last of all, by rename)
# exit code: 0 once there is an outcome, 75 when somebody else works on it
set -u
dir=$(CDPATH='' cd -- "${0%/*}" && pwd) || exit 70
# shellcheck source=src/host/scripts/library.sh
. "$dir/library.sh"
# shellcheck source=src/host/scripts/trial.sh
. "$dir/trial.sh"
# shellcheck source=src/host/scripts/machine.sh
. "$dir/machine.sh"
# shellcheck source=src/host/scripts/guests.sh
. "$dir/guests.sh"
# shellcheck source=src/host/scripts/activate.sh
. "$dir/activate.sh"
# shellcheck source=src/host/scripts/generations.sh
. "$dir/generations.sh"
# shellcheck source=src/host/scripts/checks.sh
. "$dir/checks.sh"
# shellcheck source=src/host/scripts/record.sh
. "$dir/record.sh"

# The old system's tools, which the transaction holds: what a new one lacks or breaks must
# not keep it from being judged or undone.
case $(p expect) in /nix/store/*) PATH=$(p expect)/sw/bin:$PATH ;; esac
trap depart EXIT
attend "${1:-}"
