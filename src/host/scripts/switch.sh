# switch.sh: the way forward: record, adopt, stop, flip, start, prove, wait for the
# verdict. Sourced by transaction.sh.

# run: everything up to a decision. Decides by itself when something fails.
run() {
    { mkdir -p "$dir/before" "$dir/result" && keep began "$(now)" && keep boot "$(boot_id)"; } ||
        { refuse state-not-writable; exit 0; }
    step locked
    here=$(readlink -- "$vmdir/current") || here=
    [ "$here" = "$(p expect)" ] || { refuse plan-outdated; exit 0; }
    if [ -L "$vmdir" ]; then refuse directory-is-a-link; exit 0; fi
    if [ "$how" != stage ] && ! can_be_booted; then refuse directory-not-writable; exit 0; fi
    nix-store --check-validity "$to" 2>/dev/null || { refuse closure-missing; exit 0; }
    record || { refuse state-not-writable; exit 0; }
    arm || { refuse no-guard; exit 0; }
    adopt
    if [ "$how" = stage ]; then
        decide commit.staged
        return
    fi
    before_checks
    watch_address
    STARTED=$(now)
    if ! stop_vm "$(kept stop_timeout)"; then fail stop-failed; return; fi
    keep shutdown "$SHUTDOWN"
    step stopped "$SHUTDOWN"
    interrupted && return
    if ! install_directory || ! point "$to"; then fail flip-failed; return; fi
    step flipped
    start_vm "$to" || { fail "$WHY"; return; }
    step started "$PID"
    trial || { fail "$WHY"; return; }
    verdict
}

# fail WORD: on trial something went wrong.
fail() {
    rm -f -- "$dir/reserve"
    console
    if [ -n "$(p keep_failed)" ]; then decide "keep.$1"; else decide "undo.$1"; fi
    step failed "$1"
}

# interrupted: whether somebody decided meanwhile.
interrupted() { [ -L "$dir/decided" ]; }

# unfinished_neighbour: whether another switch of this VM died and waits to be ended.
unfinished_neighbour() {
    for neighbour in "$base"/transactions/*/; do
        neighbour=${neighbour%/}
        if [ "$neighbour" = "$dir" ] || [ -e "$neighbour/outcome" ] || [ ! -e "$neighbour/before/recorded" ]; then continue; fi
        if [ "$(cat "$neighbour/p/vm" 2>/dev/null)" = "$vm" ]; then return 0; fi
    done
    return 1
}

# record: what is there now, before anything is touched. Only when all of it is on the
# disk does `recorded` say so, and only then may anything be undone.
record() {
    look || return 1
    {
        keep current "$(readlink -- "$vmdir/current" || :)" &&
            keep booted "$(readlink -- "$vmdir/booted" || :)" &&
            keep active "$ACTIVE" && keep sub "$SUB" && keep pid "$PID" && keep invocation "$INVOCATION" &&
            keep stop_timeout "$(stop_timeout)"
    } || return 1
    if [ -d "$vmdir" ]; then keep directory yes; else keep directory no; fi || return 1
    if [ -e "$vmdir/flake" ]; then keep flake yes; else keep flake no; fi || return 1
    if [ -L "/nix/var/nix/gcroots/microvm/$vm" ]; then keep gcroots yes; else keep gcroots no; fi || return 1
    # What ran is brought back and verified; what only tried to run may try again;
    # what was stopped stays stopped.
    case $ACTIVE:$PID in
    active:0) keep was_up trying ;;
    active:*) keep was_up yes ;;
    activating:* | reloading:*) keep was_up trying ;;
    *) keep was_up no ;;
    esac || return 1
    set_limit 1 || return 1
    keep number_before "$(generation_of "$to")" || return 1
    root to "$to" || return 1
    back=$(runner_to_restore)
    case $back in /nix/store/*) root from "$back" || return 1 ;; esac
    prepare_back "$back" || return 1
    { sync -- "$dir/before"/* "$dir/before" "$dir" && keep recorded yes && sync -- "$dir/before/recorded" "$dir/before"; } ||
        return 1
    step recorded
}

# can_be_booted: whether the unit that writes `booted` may write where it does. Otherwise
# the VM would be stopped, and neither runner could be started.
can_be_booted() {
    [ -d "$vmdir" ] || return 0
    login "microvm-set-booted@$vm.service"
    [ -z "$LOGIN_USER" ] || setpriv --reuid="$LOGIN_USER" --regid="${LOGIN_GROUP:-kvm}" --init-groups -- test -w "$vmdir"
}

# set_limit TIMES: when whoever works on this counts as stuck, in our clock.
set_limit() {
    limit=$(($(now) + $(milliseconds "$(kept stop_timeout)") * 2 + $(milliseconds "$(p boot)") * 2 + $(milliseconds "$(p checks)") * 2 + $(milliseconds "$(p verdict)") + $(milliseconds "$(p agree)") + 60000))
    # One look at every check before, and up to three attempts of an undo.
    for _ in $(each_check); do limit=$((limit + 10000)); done
    limit=$((limit * $1 - ($1 - 1) * $(now)))
    keep limit "$limit"
}

# runner_to_restore: what an undo boots: what was booted, else what was staged.
runner_to_restore() {
    booted=$(kept booted)
    if [ "$(kept was_up)" != no ] && [ -n "$booted" ]; then echo "$booted"; else kept current; fi
}

# stop_timeout: the unit's own, in seconds, rounded up; 90 when it has none.
stop_timeout() {
    systemctl show -p TimeoutStopUSec --value -- "$unit" | awk '
        /infinity/ || NF == 0 { print 90; exit }
        { s = 0
          for (i = 1; i <= NF; i++) {
              n = $i + 0
              if ($i ~ /[0-9]ms$/) s += n / 1000
              else if ($i ~ /[0-9]us$/) s += n / 1000000
              else if ($i ~ /min$/) s += n * 60
              else if ($i ~ /h$/) s += n * 3600
              else if ($i ~ /[0-9]s$/) s += n
          }
          s = (s == int(s)) ? s : int(s) + 1
          print (s < 1 ? 90 : s) }'
}

# arm: the guard that undoes when this process is killed.
arm() {
    # Again, because systemd does not answer while it re-executes itself.
    for arm_round in 1 2 3 4 5 6 7 8 9 10; do
        if systemd-run --quiet --collect --unit="deployvm-guard-$vm-$id" \
            --on-active=5s --timer-property=OnUnitInactiveSec=5s --timer-property=AccuracySec=500ms \
            --property=KillMode=process --property=SuccessExitStatus=75 /bin/sh "$dir/transaction.sh" guard 2>"$dir/result/arm"; then return 0; fi
        if systemctl is-active --quiet "deployvm-guard-$vm-$id.timer"; then return 0; fi
        if [ "$arm_round" -lt 10 ]; then sleep 0.5; fi
    done
    return 1
}

# install_directory: a VM that the hypervisor does not have gets its directory.
install_directory() {
    [ -d "$vmdir" ] && return 0
    # -h: whoever owns the state directory could put a link in its place meanwhile.
    mkdir -m 0775 -- "$vmdir" && chown -h -- microvm:kvm "$vmdir"
}

# ask_guest: starts the booted runner's own shutdown program, as the unit would, but
# with its stdin held open: some runners only wait for the guest while it is.
ask_guest() {
    ask=$vmdir/booted/bin/microvm-shutdown
    [ -x "$ask" ] || return 1
    rm -f "$dir/hold" && mkfifo -m 0600 "$dir/hold" || return 1
    login "$unit"
    (
        cd "$vmdir" || exit 1
        exec 7<>"$dir/hold" 8>&- 9>&-
        exec setpriv --reuid="${LOGIN_USER:-microvm}" --regid="${LOGIN_GROUP:-kvm}" --init-groups -- "$ask" <&7 7<&- >/dev/null 2>&1
    ) &
    ASKED=$!
}

# stop_vm SECONDS: asks the guest to shut down and waits so long for it, then ends it.
# Sets SHUTDOWN to clean, killed or none. Fails when it will not go.
stop_vm() {
    SHUTDOWN=none ASKED=
    look || return 1
    stop_pid=$PID
    if alive "$stop_pid"; then
        step stopping "$1"
        SHUTDOWN=killed
        stop_until=$(($(now) + $(milliseconds "$1")))
        if ask_guest; then
            while [ "$(now)" -lt "$stop_until" ]; do
                if ! alive "$stop_pid"; then SHUTDOWN=gone; break; fi
                sleep 0.05
            done
        fi
    fi
    # Also cancels a restart that systemd has planned. The helpers are named so that
    # their stop jobs are done, too, before they are started again.
    # shellcheck disable=SC2086 # a list of unit names
    systemctl stop -- "$unit" $helpers 2>/dev/null 8>&- 9>&- &
    stopping=$!
    if alive "$stop_pid"; then
        sleep 1
        if alive "$stop_pid"; then kill -s TERM "$stop_pid" 2>/dev/null; fi
        stop_tries=0
        while alive "$stop_pid" && [ $stop_tries -lt 50 ]; do sleep 0.1; stop_tries=$((stop_tries + 1)); done
        if alive "$stop_pid"; then kill -s KILL "$stop_pid" 2>/dev/null; fi
    fi
    stop_tries=0
    while kill -0 "$stopping" 2>/dev/null && [ $stop_tries -lt 300 ]; do sleep 0.1; stop_tries=$((stop_tries + 1)); done
    kill "$stopping" 2>/dev/null
    wait "$stopping" 2>/dev/null
    [ -n "$ASKED" ] && kill "$ASKED" 2>/dev/null
    rm -f "$dir/hold"
    look || return 1
    if [ "$SHUTDOWN" = gone ]; then
        # It ended by itself; by a signal (out of memory, say) is not cleanly. 1 is
        # CLD_EXITED.
        SHUTDOWN=killed
        case $(systemctl show -p ExecMainCode --value -- "$unit") in 0 | 1) SHUTDOWN=clean ;; esac
    fi
    ! alive "$stop_pid" && { [ "$ACTIVE" = inactive ] || [ "$ACTIVE" = failed ]; }
}

# start_vm RUNNER: starts the unit and sees that a process of that runner lives.
# Sets WHY when it fails.
start_vm() {
    # shellcheck disable=SC2086 # a list of unit names
    systemctl reset-failed -- "$unit" $helpers 2>/dev/null || :
    keep cursor "$(journalctl -q -n 0 --show-cursor 2>/dev/null | sed -n 's/^-- cursor: //p')"
    STARTED=$(now)
    timeout -k 5 "$(p boot)" systemctl start -- "$unit" 2>"$dir/result/start" 8>&- 9>&-
    rc=$?
    look || { WHY=systemd-silent; return 1; }
    TRIAL_PID=$PID TRIAL_INVOCATION=$INVOCATION
    keep trial_invocation "$INVOCATION"
    if [ "$rc" = 124 ]; then WHY=start-timeout; return 1; fi
    # The exit code proves nothing; the process does.
    if [ "$ACTIVE" != active ] || [ "$PID" = 0 ]; then
        WHY=process-exited
        [ "$rc" = 0 ] || WHY=start-failed
        return 1
    fi
    if [ "$(readlink -- "$vmdir/booted")" != "$1" ]; then WHY="booted-differs"; return 1; fi
}

# steady: the same main process of the same invocation as at the start. The process is
# looked at every time, systemd is asked once a second.
steady() {
    alive "$TRIAL_PID" || return 1
    [ "$(now)" -lt $((${STEADY:-0} + 1000)) ] || surely_steady
}
# surely_steady: the same, asked now: before anything is made final.
surely_steady() {
    look || return 1
    STEADY=$(now)
    [ "$ACTIVE" = active ] && [ "$PID" = "$TRIAL_PID" ] && [ "$INVOCATION" = "$TRIAL_INVOCATION" ]
}

# runs_the_old RUNNER OLD: whether the process is provably OLD's and not RUNNER's.
runs_the_old() {
    [ -r "$2/bin/microvm-run" ] && [ -r "$1/bin/microvm-run" ] || return 1
    tr '\0' '\n' <"/proc/$TRIAL_PID/cmdline" | grep -o '/nix/store/[0-9a-z]\{32\}-[-+._?=0-9a-zA-Z]*' |
        sort -u >"$dir/result/cmdline"
    [ -s "$dir/result/cmdline" ] || return 1
    missing_in "$1" && ! missing_in "$2"
}
missing_in() {
    while read -r path; do grep -qF -- "$path" "$1/bin/microvm-run" || return 0; done <"$dir/result/cmdline"
    return 1
}

# tick: once per round of every waiting loop on trial. After the settle time,
# `current` is pointed back at the old runner, so that a crash or a reboot before
# the verdict boots the old one by itself.
tick() {
    steady || { WHY=process-exited; return 1; }
    [ "${PROVEN:-}" = yes ] && return 0
    [ "$(now)" -lt $((STARTED + $(milliseconds "$(p settle)"))) ] && return 0
    tick_back=$(runner_to_restore)
    if [ -n "$tick_back" ] && [ "$tick_back" != "$to" ]; then
        if runs_the_old "$to" "$tick_back"; then WHY=old-runner-runs; return 1; fi
        point "$tick_back" || { WHY=flip-failed; return 1; }
    fi
    PROVEN=yes
    step proven
}

# trial: until the guest is up, the checks hold and the settle time is over.
trial() {
    until=$((STARTED + $(milliseconds "$(p boot)")))
    while :; do
        tick || return 1
        interrupted && return 0
        up=yes
        WHY=no-answer
        taps || { up=; WHY="tap-missing"; }
        if [ -n "$up" ] && [ -n "$(p awaited)" ]; then ping_once "$(p address)" || up=; fi
        [ -n "$up" ] && break
        if [ "$(now)" -ge "$until" ]; then
            # The check that says so.
            BEGAN=$STARTED
            if [ "$WHY" = no-answer ]; then verdict_of "$(p awaited)" false '"timeout"'; fi
            return 1
        fi
        sleep 0.1
    done
    keep answered yes
    step booted $(($(now) - STARTED))
    checks || return 1
    while [ "${PROVEN:-}" != yes ]; do
        tick || return 1
        interrupted && return 0
        sleep 0.1
    done
}

# taps: every tap of the runner exists, is up and belongs to a bridge, but for those
# that worked without one before.
taps() {
    for tap in $(p taps); do
        is_up "$tap" && [ -e "/sys/class/net/$tap/master" ] || return 1
    done
    for tap in $(p routed); do is_up "$tap" || return 1; done
}
is_up() { flags=$(cat "/sys/class/net/$1/flags" 2>/dev/null) && [ $((flags & 1)) = 1 ]; }

# verdict: waits for the laptop. Without one, the deadline decides.
verdict() {
    step waiting "$(p verdict)"
    until=$(($(now) + $(milliseconds "$(p verdict)")))
    while ! interrupted; do
        tick || { fail "$WHY"; return; }
        if [ "$(now)" -ge "$until" ]; then console; decide undo.no-verdict; break; fi
        sleep 0.05
    done
}
