# machine.sh: one microVM's unit: asked to go, stopped, started. Sourced by
# transaction.sh, power.sh, foreground.sh and host.sh.

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

# ask_guest: starts the booted runner's own shutdown program, as the unit would, but
# with its stdin held open: some runners only wait for the guest while it is.
ask_guest() {
    ask=$vmdir/booted/bin/microvm-shutdown
    [ -x "$ask" ] || return 1
    # A full disk must not take the guest its time.
    for hold in "$dir/hold" "/run/deployvm/hold-$id"; do
        rm -f -- "$hold" && mkfifo -m 0600 -- "$hold" 2>/dev/null && break
    done
    [ -p "$hold" ] || return 1
    login "$unit"
    (
        cd "$vmdir" || exit 1
        exec 7<>"$hold" 8>&- 9>&-
        exec setpriv --reuid="${LOGIN_USER:-microvm}" --regid="${LOGIN_GROUP:-kvm}" --init-groups -- "$ask" <&7 7<&- >/dev/null 2>&1
    ) &
    ASKED=$!
}

# stop_vm SECONDS: asks the guest to shut down and waits so long for it, then ends it.
# Sets SHUTDOWN to clean, killed or none. Fails when it will not go.
stop_vm() {
    SHUTDOWN=none ASKED='' stop_until=0
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
    # Who could not be asked is asked by the unit itself.
    while [ -z "$ASKED" ] && alive "$stop_pid" && [ "$(now)" -lt "$stop_until" ]; do sleep 0.1; done
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
    rm -f -- "$dir/hold" "/run/deployvm/hold-$id"
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
    timeout -k 5 "$(p boot)" systemctl start -- "$unit" 2>/dev/null 8>&- 9>&-
    rc=$?
    look || { WHY=systemd-silent; return 1; }
    # shellcheck disable=SC2034 # steady watches them
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
