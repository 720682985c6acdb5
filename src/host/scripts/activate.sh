# activate.sh: the hypervisor's own system: recorded, switched, proven, committed or put
# back. Sourced by host.sh.

# running_system: the system that runs.
running_system() { readlink -f /run/current-system; }

# run: everything up to a decision. Decides by itself when something fails.
run() {
    { mkdir -p "$dir/before" "$dir/result" && keep began "$(now)" && keep boot "$(boot_id)"; } ||
        { refuse state-not-writable; exit 0; }
    step locked
    [ "$(running_system)" = "$(p expect)" ] || { refuse plan-outdated; exit 0; }
    nix-store --check-validity "$to" 2>/dev/null || { refuse closure-missing; exit 0; }
    [ -x "$to/bin/switch-to-configuration" ] || { refuse not-a-system; exit 0; }
    hold_guests 2 || { refuse vm-locked; exit 0; }
    record || { let_go; refuse state-not-writable; exit 0; }
    arm || { let_go; refuse no-guard; exit 0; }
    before_checks
    interrupted && return
    { keep switching yes && sync -- "$dir/before/switching" "$dir/before"; } || { fail state-not-writable; return; }
    step switching
    SWITCHED=$(now)
    switch_to "$to" test
    if ! activated; then fail switch-failed; return; fi
    if [ "$(running_system)" != "$to" ]; then
        # Units that failed before are no excuse for what has not come so far.
        if [ "$SWITCH_CODE" = 0 ]; then fail switch-incomplete; else fail switch-failed; fi
        return
    fi
    step switched
    trial || { fail "$WHY"; return; }
    verdict
}

# record: what is there now, before anything is touched. Only when all of it is on the
# disk does `recorded` say so, and only then may anything be undone.
record() {
    {
        keep system "$(running_system)" && keep default "$(readlink -- "$profile" || :)" &&
            keep number_before "$(generation_of "$to")" && keep was_up yes &&
            failed_units >"$dir/before/failed" && record_guests && set_limit 1
    } || return 1
    root to "$to" && root from "$(kept system)" || return 1
    # Some room on the disk for an undo.
    head -c 65536 /dev/zero >"$dir/reserve" || return 1
    { sync -- "$dir/before"/* "$dir/before" "$dir" && keep recorded yes && sync -- "$dir/before/recorded" "$dir/before"; } ||
        return 1
    step recorded
}

# set_limit TIMES: when whoever works on this counts as stuck, in our clock.
set_limit() {
    limit=$((($(milliseconds "$(p switch)") + $(milliseconds "$(p boot)") + $(milliseconds "$(p checks)")) * 2 + $(milliseconds "$(p verdict)") + 60000))
    for _ in $(each_check) $(guests); do limit=$((limit + 10000)); done
    keep limit $(($(now) + limit * $1))
}

# failed_units: what does not run as it should.
failed_units() {
    systemctl list-units --all --plain --no-legend --state=failed,auto-restart 2>/dev/null | awk '{ print $1 }'
}

# switch_to SYSTEM ACTION: by the system's own program; its exit code in SWITCH_CODE.
switch_to() {
    printf '%s %s\n' "$2" "$1" >>"$dir/result/switch"
    timeout -k 30 "$(p switch)" "$1/bin/switch-to-configuration" "$2" >>"$dir/result/switch" 2>&1 </dev/null 8>&- 9>&-
    SWITCH_CODE=$?
    # It may have started a new systemd, which does not answer at first.
    look || :
}

# activated: whether that is as good as it was. 4 is for units that failed; if all of them
# failed before as well, it is.
activated() {
    case $SWITCH_CODE in
    0) return 0 ;;
    4) failed_units >"$dir/result/failed" && ! grep -qvxF -f "$dir/before/failed" "$dir/result/failed" && step failing-before ;;
    *) return 1 ;;
    esac
}

# trial: until all VMs run that must, their checks hold, and the settle time is over.
trial() {
    trial_until=$(($(now) + $(milliseconds "$(p boot)")))
    while :; do
        interrupted && return 0
        trial_down=$(down)
        [ -n "$trial_down" ] || break
        if [ "$(now)" -ge "$trial_until" ]; then
            missing "$trial_down"
            return 1
        fi
        sleep 0.2
    done
    # shellcheck disable=SC2046 # names without blanks
    TRIAL=$(states $(expected))
    STARTED=$(now)
    step booted $((STARTED - SWITCHED))
    checks || return 1
    while [ "$(now)" -lt $((STARTED + $(milliseconds "$(p settle)"))) ]; do
        tick || return 1
        interrupted && return 0
        sleep 0.1
    done
    surely_new || return 1
    step proven
}

# missing VM: it must run and does not. What it said last is kept, before it is undone.
missing() {
    WHY="vm-down"
    step down "$1"
    {
        printf '%s does not run; it said last:\n' "$1"
        timeout 5 journalctl --sync
        timeout 5 journalctl -q -o cat -n 10 --no-pager -u "microvm@$1.service"
    } >>"$dir/result/switch" 2>/dev/null
}

# tick: once per round of every waiting loop on trial.
tick() { [ "$(now)" -lt $((${STEADY:-0} + 1000)) ] || surely_new; }

# surely_new: the new system runs, and so do the same processes of all VMs as at first.
surely_new() {
    STEADY=$(now)
    WHY="switched-by-others"
    [ "$(running_system)" = "$to" ] || return 1
    # shellcheck disable=SC2046 # names without blanks
    steady_now=$(states $(expected))
    if [ "$steady_now" = "$TRIAL" ]; then return 0; fi
    # The first whose line is not as it was.
    missing "$(printf '%s\n' "$TRIAL" | grep -vxF -e "$steady_now" | sed -n '1s/ .*//p')"
    return 1
}

# console: what the program that switched said last, before anything is undone.
console() {
    if [ -e "$dir/console" ] || [ ! -s "$dir/result/switch" ]; then return 0; fi
    tail -n 30 "$dir/result/switch" | cut -c 1-400 >"$dir/.console"
    mv -f "$dir/.console" "$dir/console"
}

# ours_still: nobody else has switched to another system since we began. After a reboot
# it is the one that boots.
ours_still() {
    [ "$(kept recorded)" = yes ] || return 0
    case $(running_system) in "$to" | "$(kept system)") return 0 ;; esac
    [ "$(kept boot)" != "$(boot_id)" ]
}

# links_for_shutdown: what the next boot starts is right all the time.
links_for_shutdown() { :; }

# commit: a number, and what the next boot starts. Once `committed` is on the disk, nothing
# goes back any more.
commit() {
    step committing
    hold_again
    if [ "$(kept committed)" != yes ]; then
        [ "$(running_system)" = "$to" ] || return 1
        if [ -n "${STARTED:-}" ]; then surely_new || return 1; fi
        keep committing yes && sync -- "$dir/before/committing" "$dir/before" || return 1
    fi
    number=$(make_generation "$to") || return 1
    switch_to "$to" boot
    if [ "$SWITCH_CODE" != 0 ]; then console; return 1; fi
    keep committed yes && sync -- "$dir/before/committed" "$dir/before" || return 1
    let_go
    outcome deployed 0 "$number"
}

# leave: nothing is left half switched.
leave() { undo; }

# hold_again: whoever takes over from a process that died needs the VMs' locks as well.
hold_again() { [ -s "$dir/held" ] && kill -0 "$(cat "$dir/held")" 2>/dev/null || hold_guests 30 || :; }

# undo: what ran before runs again, and is what the next boot starts.
undo() {
    step undoing "$(reason)"
    console
    # Nothing was touched before all was recorded.
    [ "$(kept recorded)" = yes ] || { outcome refused 12 ''; return; }
    hold_again
    set_limit 3 || :
    undone=yes
    if [ "$(kept committing)" = yes ]; then default_back || undone=; fi
    # After a reboot it is there by itself.
    if [ "$(kept switching)" = yes ] && { [ "$(kept boot)" = "$(boot_id)" ] || [ "$(running_system)" = "$to" ]; }; then
        for undo_round in 1 2 3; do
            if back; then break; fi
            if shutting_down; then exit 0; fi
            if [ "$undo_round" = 3 ]; then undone=; break; fi
            step undoing "again-$undo_round"
            # What was killed in the middle of a switch may hold its lock for a moment.
            sleep 3
        done
    fi
    let_go
    if [ -z "$undone" ]; then outcome failed 40 ''; return; fi
    case $(reason) in
    check-failed | laptop-check-failed) outcome rolled-back 31 '' ;;
    *) outcome rolled-back 30 '' ;;
    esac
}

# back: the old system runs, its VMs as before, and what passed before passes again.
back() {
    switch_to "$(kept system)" test
    activated && [ "$(running_system)" = "$(kept system)" ] && bring_back || return 1
    step restarted
    back_until=$(($(now) + $(milliseconds "$(p boot)")))
    until passing_again; do
        [ "$(now)" -lt "$back_until" ] || return 1
        sleep 0.3
    done
}

# default_back: the next boot starts what it would have started before.
default_back() {
    if [ -n "$(kept default)" ]; then
        ln -sfnT -- "$(kept default)" "$profile.$id" && mv -fT -- "$profile.$id" "$profile" || return 1
    else
        rm -f -- "$profile"
    fi
    drop_new_number
    if [ -n "$(kept default)" ]; then back_default=$(readlink -e -- "$profile"); else back_default=$(kept system); fi
    switch_to "$back_default" boot
    [ "$SWITCH_CODE" = 0 ]
}
