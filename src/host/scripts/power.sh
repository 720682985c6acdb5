# power.sh: start, stop, restart or retire of one microVM, as a transaction on the
# hypervisor that undoes nothing: what fails is left as it is. begin.sh writes it into
# the transaction's directory as transaction.sh; the parts that it sources and probe.sh
# lie beside it.
#
# arguments: run      the transaction itself (the transient unit's ExecStart)
#            stopped  the unit's ExecStopPost: ends what was killed
#            close    by a later deployvm command: the same, after a reboot
# reads:     p/NAME one parameter each (p/verb says what to do), c/NN/NAME the checks
# writes:    events, before/, decided, console, outcome (last of all, by rename)
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
# shellcheck source=src/host/scripts/generations.sh
. "$dir/generations.sh"
# shellcheck source=src/host/scripts/checks.sh
. "$dir/checks.sh"
# shellcheck source=src/host/scripts/record.sh
. "$dir/record.sh"

# Only one process works on a transaction: it holds this lock as long as it lives.
exec 8>"$dir/alive"
mode=${1:-}
verb=$(p verb)
if [ -e "$dir/outcome" ]; then clear_away; exit 0; fi

# down: stopped, and not about to come back.
down() {
    if ! stop_vm "$(kept stop_timeout)"; then fail stop-failed; return 1; fi
    # shellcheck disable=SC2086 # a list of unit names
    systemctl reset-failed -- "$unit" $helpers 2>/dev/null || :
    keep shutdown "$SHUTDOWN"
    keep down yes
    step stopped "$SHUTDOWN"
}

# up: what is staged runs, and holds its checks here and for the laptop.
up() {
    look || { fail systemd-silent; return 1; }
    # Those that a failed start left up would not run again, and `booted` stay as it was.
    # shellcheck disable=SC2086 # a list of unit names
    case $ACTIVE in inactive | failed) systemctl stop -- $helpers 2>/dev/null || : ;; esac
    if ! start_vm "$to"; then fail "$WHY"; return 1; fi
    step started "$PID"
    if ! trial; then fail "$WHY"; return 1; fi
    verdict
}

# unlink_vm: every link and root that it has, but nothing that the guest wrote. Can be
# run again after it was killed half-way: without `current`, nothing starts it again.
unlink_vm() {
    rm -f -- "$vmdir/current" || return 1
    if [ -d "$vmdir" ]; then sync -- "$vmdir"; fi
    for link in "$profile"-*-link; do
        n=${link#"$profile"-} n=${n%-link}
        # That of another VM whose name only begins like this one's is not meant.
        case $n in '' | *[!0-9]*) continue ;; esac
        rm -f -- "$link"
    done
    rm -f -- "$profile" "$base/running/$vm"
    rm -rf -- "$base/terms/${vm:?}" "$base/pins/${vm:?}"
    rm -f -- "/nix/var/nix/gcroots/microvm/$vm" "/nix/var/nix/gcroots/microvm/booted-$vm" \
        "/nix/var/nix/gcroots/microvm/old-$vm"
    for link in booted old toplevel; do
        if [ -L "$vmdir/$link" ]; then rm -f -- "$vmdir/$link"; fi
    done
    rm -f -- "$vmdir/flake" "$vmdir"/.current.*
    find "$vmdir" -maxdepth 1 -type s -delete 2>/dev/null
    # A volume keeps the directory.
    rmdir -- "$vmdir" 2>/dev/null || :
    step unlinked
}

# as_expected: `current` is what the laptop has seen.
as_expected() {
    here=$(readlink -- "$vmdir/current") || here=
    [ "$here" = "$(p expect)" ]
}

# run_verb: everything up to a decision.
run_verb() {
    mkdir -p "$dir/before" "$dir/result" || { refuse state-not-writable; exit 0; }
    keep began "$(now)"
    keep boot "$(boot_id)"
    step locked
    as_expected || { refuse plan-outdated; exit 0; }
    # What a link leads to is not this VM's.
    if [ "$verb" = retire ] && [ -L "$vmdir" ]; then refuse directory-is-a-link; exit 0; fi
    look
    # What is staged is what shall run: nothing is ever pointed back.
    if ! { keep current "$to" && keep invocation "$INVOCATION" && keep stop_timeout "$(stop_timeout)"; }; then
        refuse state-not-writable
        exit 0
    fi
    sync -- "$dir/before"/* "$dir/before" "$dir"
    number=$(generation_of "$to")
    if interrupted; then return; fi
    case $verb in stop | restart | retire) down || return ;; esac
    case $verb in
    start | restart) up || return ;;
    # From here on nobody is heard any more: half of it would be neither.
    retire)
        # A guest may take minutes to stop.
        if ! as_expected; then fail changed-by-others; return; fi
        decide commit.retire || return
        unlink_vm || replace_decision undo.state-not-writable
        ;;
    esac
    decide "commit.$verb" || :
}

# as_left: what was stopped to be retired still is, or has lost `current` already.
as_left() {
    if [ -L "$vmdir" ]; then return 1; fi
    if [ "$(decided)" = commit.retire ] && [ ! -L "$vmdir/current" ]; then return 0; fi
    case $(kept down):$ACTIVE in yes:inactive | yes:failed) as_expected ;; *) return 1 ;; esac
}

# take_over: what a killed process left: a VM that was to run is started, one that was
# stopped to be retired, and still is, is unlinked.
take_over() {
    number=
    case $verb in
    start | restart)
        look
        if [ "$ACTIVE" != active ]; then systemctl start --no-block -- "$unit" 2>/dev/null; fi
        ;;
    retire)
        look || exit 75
        if ! { as_left && decide commit.retire && unlink_vm; }; then
            # The machine, or somebody, has started it again since, or staged another one.
            if [ "$(decided)" = commit.retire ]; then replace_decision "keep.$1"; fi
        fi
        ;;
    esac
    decide "keep.$1" || :
}

case $mode in
run)
    flock -w 60 8 || exit 75
    if [ -e "$dir/outcome" ]; then clear_away; exit 0; fi
    lock_vm 2 || { refuse locked; exit 0; }
    if unfinished_neighbour; then refuse unfinished-before; exit 0; fi
    run_verb
    ;;
stopped | close)
    if [ "$mode" = stopped ]; then flock -w 5 8 || exit 75; else flock -n 8 || exit 75; fi
    if [ "$mode" = close ] && begins; then exit 75; fi
    if [ -e "$dir/outcome" ]; then clear_away; exit 0; fi
    if shutting_down; then exit 0; fi
    lock_vm 60 || exit 75
    mkdir -p "$dir/before" "$dir/result"
    if [ "$mode" = stopped ]; then take_over transaction-stopped; else take_over hypervisor-restarted; fi
    ;;
*) exit 64 ;;
esac
step decided "$(decided)"
case $(decided) in
commit.*) outcome "done" 0 "$number" ;;
*) outcome failed 32 "$number" ;;
esac
case $verb in start | restart) remember_running ;; esac
# Where there is no room for that, a later command does it.
[ -s "$dir/result/outcome" ] && ledger && publish || exit 75
exit 0
