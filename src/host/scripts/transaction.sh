# transaction.sh: one switch of one microVM, as a transaction on the hypervisor.
# Written by begin.sh into /var/lib/deployvm/transactions/ID/ together with its
# parameters, and run from there; probe.sh and library.sh lie beside it.
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
# shellcheck source=src/host/scripts/switch.sh
. "$dir/switch.sh"
# shellcheck source=src/host/scripts/undo.sh
. "$dir/undo.sh"
# shellcheck source=src/host/scripts/generations.sh
. "$dir/generations.sh"
# shellcheck source=src/host/scripts/checks.sh
. "$dir/checks.sh"
# shellcheck source=src/host/scripts/record.sh
. "$dir/record.sh"

attend "${1:-}"
