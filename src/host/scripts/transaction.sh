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
# shellcheck source=src/host/scripts/switch.sh
. "$dir/switch.sh"
# shellcheck source=src/host/scripts/undo.sh
. "$dir/undo.sh"
# shellcheck source=src/host/scripts/record.sh
. "$dir/record.sh"

# Only one process works on a transaction: it holds this lock as long as it lives.
exec 8>"$dir/alive"
mode=${1:-}
if [ -e "$dir/outcome" ]; then clear_away; exit 0; fi

case $mode in
run)
    # begin.sh holds it until systemd has said that this runs.
    flock -w 60 8 || exit 75
    if [ -e "$dir/outcome" ]; then exit 0; fi
    lock_vm 2 || { refuse locked; exit 0; }
    if unfinished_neighbour; then refuse unfinished-before; exit 0; fi
    run
    ;;
guard | stopped | close)
    if [ "$mode" = stopped ]; then flock -w 5 8 || exit 75; else flock -n 8 || { overdue; exit 75; }; fi
    # It may have ended while we waited.
    if [ -e "$dir/outcome" ]; then clear_away; exit 0; fi
    # The decider is recorded first: whoever comes later obeys it.
    case $mode in
    guard) decide undo.transaction-killed ;;
    stopped) decide undo.transaction-stopped ;;
    close)
        # Its process is gone: with the machine, or alone.
        case $(kept boot) in
        '' | "$(boot_id)") decide undo.transaction-killed ;;
        *) decide undo.hypervisor-restarted ;;
        esac
        ;;
    esac
    if shutting_down; then links_for_shutdown; exit 0; fi
    lock_vm 60 || exit 75
    ;;
*) exit 64 ;;
esac
finish
exit 0
