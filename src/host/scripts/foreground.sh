# foreground.sh: one microVM on somebody's terminal, as a transaction on the hypervisor
# that puts the unit back as it was. The VM goes on being run by its own unit, with all
# that the unit gives it: a drop-in in /run, which no reboot survives, only gives it the
# terminal for a console. begin.sh writes this into the transaction's directory as
# transaction.sh; the parts that it sources, probe.sh and attach.sh lie beside it.
#
# arguments: run      the transaction itself (the transient unit's ExecStart)
#            guard    every few seconds by a timer: puts back when `run` died
#            stopped  the unit's ExecStopPost: the same, at once
#            close    by a later deployvm command: the same, after a reboot
# reads:     p/NAME one parameter each; terminal and tty by attach.sh, beat by beat.sh,
#            detach by both
# writes:    events, before/, decided, detached (for attach.sh: it is over), console,
#            outcome (last of all, by rename)
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

# Milliseconds until a terminal must be there, and in which a laptop must say something.
patience=60000
silence=30000
# Last of all, or another one could take the terminal away.
dropin=/run/systemd/system/$unit.d/zz-deployvm-run.conf

# Says that the unit was taken back: not on a disk, which may be full.
returned=/run/deployvm/returned-$id

# Only one process works on a transaction: it holds this lock as long as it lives.
exec 8>"$dir/alive"
mode=${1:-}
if [ -e "$dir/outcome" ]; then clear_away; exit 0; fi

# reload: systemd reads its units again; it does not answer while it re-executes itself.
reload() {
    for reload_round in 1 2 3 4 5 6 7 8 9 10; do
        systemctl daemon-reload 2>/dev/null && return 0
        if [ "$reload_round" -lt 10 ]; then sleep 0.5; fi
    done
    return 1
}

# lend: the unit's console becomes the terminal that was offered.
lend() {
    tty=$(said "$dir/tty")
    case $tty in /dev/pts/*) ;; *) return 1 ;; esac
    case ${tty#/dev/pts/} in '' | *[!0-9]*) return 1 ;; esac
    [ -c "$tty" ] && mkdir -p "${dropin%/*}" || return 1
    # Not as its controlling terminal: the guest is to be asked when that is hung up, not
    # to lose its power. And whoever ends is not started again by systemd.
    printf '[Service]\nRestart=no\nStandardInput=file:%s\nStandardOutput=file:%s\nStandardError=inherit\n' "$tty" "$tty" \
        >"$dropin.$id" && mv -f -- "$dropin.$id" "$dropin" && reload
}

# take_back: the unit is again what it was.
take_back() {
    rm -f -- "$dropin" "$dropin.$id"
    rmdir -- "${dropin%/*}" 2>/dev/null || :
    reload
}

# offered: whether attach.sh holds a terminal for us.
offered() { [ -e "$dir/tty" ] && ! flock -n "$dir/terminal" true 2>/dev/null; }

# attended: somebody is there: the terminal is not hung up, its user has not asked to
# leave, and the laptop has said something lately.
attended() {
    [ ! -e "$dir/detach" ] && offered || return 1
    beat=$(said "$dir/beat")
    if [ "$beat" != "${BEAT:-}" ]; then BEAT=$beat HEARD=$(now); fi
    [ "$(now)" -lt $((HEARD + silence)) ]
}

run_verb() {
    { mkdir -p "$dir/before" "$dir/result" && keep began "$(now)" && keep boot "$(boot_id)"; } ||
        { refuse state-not-writable; exit 0; }
    step locked
    here=$(readlink -- "$vmdir/current") || here=
    [ "$here" = "$(p expect)" ] || { refuse plan-outdated; exit 0; }
    if [ -L "$vmdir" ]; then refuse directory-is-a-link; exit 0; fi
    if ! can_be_booted; then refuse directory-not-writable; exit 0; fi
    nix-store --check-validity "$to" 2>/dev/null || { refuse closure-missing; exit 0; }
    record_unit || { refuse state-not-writable; exit 0; }
    arm || { refuse no-guard; exit 0; }
    # The terminal first: without one nothing is touched.
    step ready
    until=$(($(now) + patience))
    while :; do
        if interrupted || [ -e "$dir/detach" ] || [ "$(now)" -ge "$until" ]; then refuse no-terminal; exit 0; fi
        if offered; then break; fi
        sleep 0.1
    done
    # On a full disk it would not stand there.
    if ! keep touched yes || [ "$(kept touched)" != yes ] || ! sync -- "$dir/before/touched" "$dir/before"; then
        rm -f -- "$dir/before/touched"
        refuse state-not-writable
        exit 0
    fi
    if ! stop_vm "$(kept stop_timeout)"; then fail stop-failed; return; fi
    keep shutdown "$SHUTDOWN"
    step stopped "$SHUTDOWN"
    # Whoever left meanwhile need not wait for a guest that boots only to be shut down.
    HEARD=$(now)
    attended || return
    lend || { fail no-terminal; return; }
    start_vm "$to" || { fail "$WHY"; return; }
    remember_running
    step foreground "$PID"
    while alive "$TRIAL_PID" && attended && ! interrupted; do sleep 0.3; done
}

# record_unit: what is to be put back. Only when all of it is on the disk does `recorded`
# say so.
record_unit() {
    look || return 1
    case $ACTIVE:$PID in
    active:0 | activating:* | reloading:*) keep was_up trying ;;
    active:*) keep was_up yes ;;
    *) keep was_up no ;;
    esac || return 1
    # What is staged is what is started, before and after: nothing is ever pointed back.
    keep current "$to" && keep invocation "$INVOCATION" && keep stop_timeout "$(stop_timeout)" && root to "$to" || return 1
    if [ "$(kept was_up)" = yes ] && [ -n "$(p awaited)" ] && ping_once "$(p address)"; then
        keep answered_before yes || return 1
    fi
    # Room for the record of how it ended.
    reserve && sync -- "$dir/before"/* "$dir/before" "$dir" && keep recorded yes && sync -- "$dir/before/recorded" "$dir/before"
}

# put_back: stopped, without the terminal, and started where it was up. Can be run again
# after it was killed half-way. Fails with WHY.
put_back() {
    release
    step returning
    number=$(generation_of "$to")
    # After a reboot there is nothing to take back.
    if [ ! -e "$returned" ] && [ "$(kept boot)" = "$(boot_id)" ]; then
        WHY=stop-failed
        # Whatever becomes of it: the terminal may soon be somebody else's.
        stop_vm "$(kept stop_timeout)" || { take_back; return 1; }
        WHY=systemd-silent
        take_back || return 1
        true >"$returned"
    fi
    true >"$dir/detached"
    step returned
    case $(kept was_up) in
    yes) ;;
    trying) systemctl start --no-block -- "$unit" 2>/dev/null; return 0 ;;
    *)
        # A guest that ended by itself had nobody to be stopped by, which its unit calls failed.
        # shellcheck disable=SC2086 # a list of unit names
        systemctl reset-failed -- "$unit" $helpers 2>/dev/null || :
        return 0
        ;;
    esac
    look || { WHY=systemd-silent; return 1; }
    if [ "$ACTIVE" = active ] && [ "$PID" != 0 ]; then
        TRIAL_PID=$PID TRIAL_INVOCATION=$INVOCATION STARTED=$(now)
    elif ! start_vm "$to"; then
        return 1
    fi
    step started "$PID"
    back_again
}

# back_again: the same process for the settle time, its taps, and an answer where there
# was one before.
back_again() {
    until=$((STARTED + $(milliseconds "$(p boot)")))
    while :; do
        steady || { WHY=process-exited; return 1; }
        WHY=
        taps || WHY="tap-missing"
        if [ -z "$WHY" ] && [ "$(kept answered_before)" = yes ] && ! ping_once "$(p address)"; then WHY=no-answer; fi
        if [ -z "$WHY" ] && [ "$(now)" -ge $((STARTED + $(milliseconds "$(p settle)"))) ]; then break; fi
        if [ "$(now)" -ge "$until" ]; then WHY=${WHY:-no-answer}; return 1; fi
        sleep 0.1
    done
    surely_steady || { WHY=process-exited; return 1; }
    step proven
}

case $mode in
run)
    flock -w 60 8 || exit 75
    if [ -e "$dir/outcome" ]; then clear_away; exit 0; fi
    lock_vm 2 || { refuse locked; exit 0; }
    if unfinished_neighbour; then refuse unfinished-before; exit 0; fi
    run_verb
    ;;
guard | stopped | close)
    if [ "$mode" = stopped ]; then flock -w 5 8 || exit 75; else flock -n 8 || exit 75; fi
    if [ "$mode" = close ] && begins; then exit 75; fi
    if [ -e "$dir/outcome" ]; then clear_away; exit 0; fi
    # What is in /run goes with the machine, and the unit's own state decides what boots.
    if shutting_down; then exit 0; fi
    lock_vm 60 || exit 75
    if [ "$(kept touched)" != yes ]; then refuse transaction-killed; exit 0; fi
    case $(kept boot) in
    "$(boot_id)") decide undo.transaction-killed ;;
    *) decide undo.hypervisor-restarted ;;
    esac
    ;;
*) exit 64 ;;
esac
if put_back; then
    decide commit.run
    case $(decided) in
    commit.*) outcome "done" 0 "$number" ;;
    *) outcome rolled-back 30 "$number" ;;
    esac
else
    decide "undo.$WHY"
    console
    outcome failed 40 "$number"
fi
step decided "$(decided)"
remember_running
[ -s "$dir/result/outcome" ] && ledger && publish || exit 75
rm -f -- "$returned"
exit 0
