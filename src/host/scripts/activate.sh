# activate.sh: the hypervisor's own system: recorded, switched, proven, committed or put
# back. Sourced by host.sh.

# What the programs that switch say. An undo does not end because the disk is full.
log=/run/deployvm/switch-$id

# running_system: the system that runs.
running_system() { readlink -f /run/current-system; }

# same_boot: the machine has not been restarted since we began.
same_boot() { [ "$(kept boot)" = "$(boot_id)" ]; }

# depart: at the end of every process of this, however it ends by itself.
depart() {
    let_go
    if [ -e "$dir/outcome" ]; then rm -f -- "$own_root/$id-old"* "/run/deployvm/switch-$id"; fi
}

# run: everything up to a decision. Decides by itself when something fails.
run() {
    { mkdir -p "$dir/before" "$dir/result" && keep began "$(now)" && keep boot "$(boot_id)"; } ||
        { refuse state-not-writable; exit 0; }
    step locked
    [ "$(running_system)" = "$(p expect)" ] || { refuse plan-outdated; exit 0; }
    nix-store --check-validity "$to" 2>/dev/null || { refuse closure-missing; exit 0; }
    [ -x "$to/bin/switch-to-configuration" ] || { refuse not-a-system; exit 0; }
    hold_guests 2 || { refuse vm-locked; exit 0; }
    # Now that nobody begins one any more.
    if unfinished_guest; then refuse unfinished-before; exit 0; fi
    record || { refuse state-not-writable; exit 0; }
    arm || { refuse no-guard; exit 0; }
    before_checks
    interrupted && return
    { keep switching yes && sync -- "$dir/before/switching" "$dir/before"; } || { fail state-not-writable; return; }
    step switching
    SWITCHED=$(now)
    switch_to "$to" test
    # Somebody else switches at this moment: ours has touched nothing.
    if [ "$SWITCH_CODE" != 0 ] && grep -q 'Could not acquire lock' "$log"; then keep switching no; fi
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
            keep default_system "$(readlink -e -- "$profile" || :)" &&
            keep number_before "$(generation_of "$to")" && keep was_up yes &&
            failed_units >"$dir/before/failed" && record_guests && hold_old "$(kept default_system)" && set_limit 1
    } || return 1
    root to "$to" && root from "$(kept system)" || return 1
    # Some room on the disk for an undo.
    reserve || return 1
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
    # A switch is not left out for want of room for what it says.
    { printf '%s %s\n' "$2" "$1" >>"$log"; } 2>/dev/null || log=/dev/null
    timeout -k 30 "$(p switch)" "$1/bin/switch-to-configuration" "$2" >>"$log" 2>&1 </dev/null 8>&- 9>&-
    SWITCH_CODE=$?
    # It may have started a new systemd, which does not answer at first.
    look || :
}

# activated: whether that is as good as it was. 4 is for units that failed; if all of them
# failed before as well, it is.
activated() {
    case $SWITCH_CODE in
    0) return 0 ;;
    4) look && failed_units >"$dir/result/failed" && ! grep -qvxF -f "$dir/before/failed" "$dir/result/failed" && step failing-before ;;
    *) return 1 ;;
    esac
}

# trial: until all VMs run that must, their checks hold, and the settle time is over.
trial() {
    trial_until=$(($(now) + $(milliseconds "$(p boot)")))
    until all_up; do
        interrupted && return 0
        if [ "$(now)" -ge "$trial_until" ]; then
            missing "$DOWN"
            return 1
        fi
        sleep 0.2
    done
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
# Without a VM, systemd says of none that it runs.
missing() {
    if [ -z "$1" ]; then
        WHY="switch-failed"
        echo 'systemd does not say whether the microVMs run' >>"$log"
        return
    fi
    WHY="vm-down"
    step down "$1"
    {
        printf '%s does not run; it said last:\n' "$1"
        timeout 5 journalctl --sync
        timeout 5 journalctl -q -o cat -n 10 --no-pager -u "microvm@$1.service"
    } >>"$log" 2>/dev/null
}

# tick: once per round of every waiting loop on trial.
tick() { [ "$(now)" -lt $((${STEADY:-0} + 1000)) ] || surely_new; }

# surely_new: the new system runs, and so do the same processes of all VMs as at first.
surely_new() {
    STEADY=$(now)
    WHY="switched-by-others"
    [ "$(running_system)" = "$to" ] || return 1
    # shellcheck disable=SC2046 # names without blanks
    steady_now=$(states $(expected)) || { missing ''; return 1; }
    if [ "$steady_now" = "$TRIAL" ]; then return 0; fi
    # The first whose line is not as it was.
    missing "$(printf '%s\n' "$TRIAL" | grep -vxF -e "$steady_now" | sed -n '1s/ .*//p')"
    return 1
}

# console: what the program that switched said last, before anything is undone.
console() {
    if [ -e "$dir/console" ] || [ ! -s "$log" ]; then return 0; fi
    tail -n 30 "$log" | cut -c 1-400 >"$dir/.console"
    mv -f "$dir/.console" "$dir/console"
}

# ours_still: nobody else has switched to another system since we began. After a reboot
# it is the one that boots.
ours_still() {
    [ "$(kept recorded)" = yes ] || return 0
    case $(running_system) in "$to" | "$(kept system)") return 0 ;; esac
    ! same_boot
}

# links_for_shutdown: which system the next boot starts is right all the time; which
# runners, is put right.
links_for_shutdown() {
    if [ "$(kept switching)" = yes ] && [ "$(kept committed)" != yes ] && ours_still; then links_back; fi
}

# commit: a number, and what the next boot starts. Once `committed` is on the disk, nothing
# goes back any more, and nothing is left to do.
commit() {
    step committing
    if [ "$(kept committed)" = yes ]; then
        outcome deployed 0 "$(generation_of "$to")"
        return
    fi
    hold_again || exit 75
    [ "$(running_system)" = "$to" ] || return 1
    if [ -n "${STARTED:-}" ]; then surely_new || return 1; else up_in_time || return 1; fi
    keep committing yes && sync -- "$dir/before/committing" "$dir/before" || return 1
    number=$(make_generation "$to") || return 1
    switch_to "$to" boot
    if [ "$SWITCH_CODE" != 0 ]; then console; return 1; fi
    flushed && keep committed yes && sync -- "$dir/before/committed" "$dir/before" || return 1
    outcome deployed 0 "$number"
}

# resume: the machine starts its VMs by itself.
resume() { :; }

# up_in_time: whoever takes over may come while the machine still boots.
up_in_time() {
    up_until=$(($(now) + $(milliseconds "$(p boot)")))
    until all_up; do
        [ "$(now)" -lt "$up_until" ] || return 1
        sleep 0.5
    done
}

# leave: nothing is left half switched.
leave() { undo; }

# hold_again: whoever takes over from a process that died needs the VMs' locks as well.
# Without them the guard comes again.
hold_again() { holding || hold_guests 30; }

# undo: what ran before runs again, and is what the next boot starts.
undo() {
    step undoing "$(reason)"
    console
    # Nothing was touched before all was recorded.
    [ "$(kept recorded)" = yes ] || { outcome refused 12 ''; return; }
    hold_again || exit 75
    set_limit 3 || :
    # What a system asks before it is switched to must not stop an undo.
    export NIXOS_NO_CHECK=1
    undone=yes
    if [ "$(kept committing)" = yes ]; then default_back || undone=; fi
    # Another system that the machine has booted has its own runners.
    if [ "$(kept switching)" = yes ] && { same_boot || ours_runs; }; then
        for undo_round in 1 2 3; do
            # Who has switched meanwhile is not switched back.
            if ! ours_still; then replace_decision undo.changed-by-others; undone=; break; fi
            if back; then break; fi
            if shutting_down; then links_for_shutdown; exit 0; fi
            if [ "$undo_round" = 3 ]; then undone=; break; fi
            step undoing "again-$undo_round"
            # What was killed in the middle of a switch may hold its lock for a moment.
            sleep 3
        done
    fi
    if [ -z "$undone" ]; then outcome failed 40 ''; return; fi
    case $(reason) in
    check-failed | laptop-check-failed) outcome rolled-back 31 '' ;;
    *) outcome rolled-back 30 '' ;;
    esac
}

# ours_runs: one of the two systems that this is about.
ours_runs() { case $(running_system) in "$to" | "$(kept system)") return 0 ;; *) return 1 ;; esac }

# back: the old system runs, its VMs as before, and what passed before passes again. After a
# reboot the old system is there by itself, but its VMs may have booted what the new one left.
back() {
    if same_boot || [ "$(running_system)" = "$to" ]; then
        switch_to "$(kept system)" test
        activated && [ "$(running_system)" = "$(kept system)" ] || return 1
    fi
    bring_back || return 1
    step restarted
    back_until=$(($(now) + $(milliseconds "$(p boot)")))
    until passing_again; do
        [ "$(now)" -lt "$back_until" ] || return 1
        sleep 0.3
    done
}

# default_back: the next boot starts what it would have started before.
default_back() {
    back_name=$(kept default) back_default=$(kept default_system)
    if [ -z "$back_default" ]; then back_default=$(kept system); fi
    if [ -n "$back_name" ]; then
        # A garbage collection may have taken the number meanwhile; the system was held.
        back_link=${profile%/*}/$back_name
        [ -L "$back_link" ] || ln -sT -- "$back_default" "$back_link" || return 1
        ln -sfnT -- "$back_name" "$profile.$id" && mv -fT -- "$profile.$id" "$profile" || return 1
    else
        rm -f -- "$profile"
    fi
    drop_new_number
    switch_to "$back_default" boot
    [ "$SWITCH_CODE" = 0 ]
}
