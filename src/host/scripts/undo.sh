# undo.sh: the way back, and the end of every transaction. Every function here can be
# run again after it was killed half-way. Sourced by transaction.sh.

# ours_still: nobody else has pointed `current`, or the whole directory, elsewhere since we
# began.
ours_still() {
    [ "$(kept recorded)" = yes ] || return 0
    if [ -L "$vmdir" ]; then return 1; fi
    ours_now=$(readlink -- "$vmdir/current") || ours_now=
    case $ours_now in "$to" | "$(kept current)" | "$(kept booted)") return 0 ;; *) return 1 ;; esac
}

# yielded: where somebody else has, theirs stays, and that is the end.
yielded() {
    if ours_still; then return 1; fi
    outcome failed 40 ''
    replace_decision undo.changed-by-others
}

# commit: `current` forward, a number, the roots that the microvm command expects. Once
# `committed` is on the disk, nothing goes back any more.
commit() {
    step committing
    if [ "$(kept committed)" = yes ]; then
        up_after_boot
    elif [ "$how" != stage ]; then
        still_new || return 1
        # A machine that booted again may have taken minutes.
        if yielded; then return 0; fi
    fi
    if [ "$(kept directory)" != yes ]; then install_directory || return 1; fi
    point "$to" || return 1
    number=$(make_generation "$to") || return 1
    # Written again it would be lost where a disk has filled up meanwhile.
    flushed && { [ "$(kept committed)" = yes ] || keep committed yes; } && sync -- "$dir/before/committed" "$dir/before" || return 1
    keep_terms "$number"
    upstream_roots
    write_flake
    if [ "$how" = stage ]; then
        outcome staged 0 "$number"
    else
        remember_running
        outcome deployed 0 "$number"
    fi
}

# up_after_boot: the machine went down when all was settled but for the record: a VM that it
# does not start by itself is started.
up_after_boot() {
    if [ "$how" = stage ] || [ "$(kept boot)" = "$(boot_id)" ]; then return; fi
    look || return 0
    if [ "$ACTIVE" = inactive ]; then systemctl start --no-block -- "$unit" 2>/dev/null || :; fi
}

# resume: the outcome was known when this was taken over.
resume() {
    case $(line outcome 1):$(kept was_up) in
    deployed:* | rolled-back:yes | rolled-back:trying) up_after_boot ;;
    esac
}

# still_new: the verdict was for a process that still lives. After a takeover only
# the unit can tell.
still_new() {
    if [ -n "${TRIAL_PID:-}" ]; then surely_steady; return; fi
    # The machine went down in the middle, and boots what `current` says, or nothing where
    # the VM has no autostart.
    new_until=$(now)
    if [ "$(kept boot)" != "$(boot_id)" ] && [ "$(readlink -- "$vmdir/current")" = "$to" ]; then
        new_until=$((new_until + $(milliseconds "$(p boot)")))
        look || return 1
        if [ "$ACTIVE" = inactive ]; then systemctl start --no-block -- "$unit" 2>/dev/null || :; fi
    fi
    while :; do
        look || return 1
        if [ "$ACTIVE" = active ] && [ "$PID" != 0 ] && [ "$(readlink -- "$vmdir/booted")" = "$to" ]; then return 0; fi
        if [ "$ACTIVE" = failed ] || [ "$(now)" -ge "$new_until" ]; then return 1; fi
        sleep 0.5
    done
}

# leave: --keep-failed: it stays as it is, with a number that is marked unverified.
leave() {
    # What never ran is not left for a crash to boot.
    if [ "$(readlink -- "$vmdir/booted")" = "$to" ]; then point "$to" || :; else restore_links; fi
    number=$(make_generation "$to") || number=
    [ -z "$number" ] || keep_terms "$number"
    upstream_roots
    write_flake
    outcome failed 32 "$number"
}

# restore_links: all that an undo may do while the host itself goes down.
restore_links() {
    [ "$(kept recorded)" = yes ] || return 0
    links_back=$(runner_to_restore)
    [ "$how" = stage ] && links_back=$(kept current)
    if [ -n "$links_back" ]; then point "$links_back"; else rm -f -- "$vmdir/current"; fi
}

# links_for_shutdown: what is right at the next boot; the rest is done after it.
links_for_shutdown() {
    ours_still || return 0
    if [ "$(kept committed)" = yes ]; then point "$to"; else restore_links; fi
}

# again CMD...: what could not be put back. Where that is for want of room, the guard comes
# again; there may be some by now.
again() {
    if no_room "$vmdir"; then exit 75; fi
    "$@"
}

# undo: what was there before, links first, then the process, then the checks.
undo() {
    step undoing "$(reason)"
    console
    # Nothing was touched before all was recorded.
    [ "$(kept recorded)" = yes ] || { outcome refused 12 ''; return; }
    set_limit 3 || :
    # What the journal was asked for may have taken seconds.
    if yielded; then return; fi
    if [ "$how" = stage ]; then
        restore_links || again restore_links || { outcome failed 40 ''; return; }
        repoint_profile
        drop_new_number
        outcome failed 30 ''
        return
    fi
    if [ -z "$(kept current)" ] && [ -z "$(kept booted)" ]; then undo_installation; return; fi
    BACK=$(runner_to_restore)
    point "$BACK" || again point "$BACK" || { outcome failed 40 ''; return; }
    case $(kept was_up) in
    yes)
        undone=
        for undo_round in 1 2 3; do
            if back_up "$BACK"; then undone=yes; break; fi
            if shutting_down; then links_for_shutdown; exit 0; fi
            if yielded; then return; fi
            step undoing "again-$undo_round"
        done
        if [ -z "$undone" ]; then
            # Without room for its links and sockets no VM can be started.
            if no_room "$vmdir"; then exit 75; fi
            outcome failed 40 ''
            return
        fi
        ;;
    *)
        stop_vm "$(polite)" || { outcome failed 40 ''; return; }
        # shellcheck disable=SC2086 # a list of unit names
        systemctl reset-failed -- "$unit" $helpers 2>/dev/null || :
        if [ "$(kept was_up)" = trying ]; then systemctl start --no-block -- "$unit"; fi
        ;;
    esac
    # What was staged but not booted is staged again, unless somebody has staged more since.
    if [ "$(kept current)" != "$BACK" ] && [ -n "$(kept current)" ] && ours_still; then
        point "$(kept current)" || again point "$(kept current)" || { outcome failed 40 ''; return; }
    fi
    repoint_profile
    drop_new_number
    # Whatever else runs was not started here: its old record still tells.
    if [ -n "${RESTARTED:-}" ]; then remember_running; fi
    case $(reason) in
    check-failed | laptop-check-failed | no-answer) outcome rolled-back 31 '' ;;
    *) outcome rolled-back 30 '' ;;
    esac
}

# back_up RUNNER: that runner runs, settled, and what passed before passes again.
back_up() {
    look || return 1
    if [ "$ACTIVE" = active ] && [ "$PID" != 0 ] && [ "$(readlink -- "$vmdir/booted")" = "$1" ]; then
        # It never went down, or systemd has brought it back by itself.
        TRIAL_PID=$PID TRIAL_INVOCATION=$INVOCATION STARTED=$(now)
    else
        # A guest of the old runner has its time, whatever the new one did.
        if [ "$(readlink -- "$vmdir/booted")" = "$1" ]; then back_patience=$(kept stop_timeout); else back_patience=$(polite); fi
        stop_vm "$back_patience" || return 1
        # A guest may take minutes to stop; what somebody has staged by then is theirs to start.
        ours_still || return 1
        start_vm "$1" || return 1
        RESTARTED=yes
    fi
    step restarted "$PID"
    back_until=$((STARTED + $(milliseconds "$(p boot)")))
    while :; do
        steady || return 1
        if [ "$(now)" -ge $((STARTED + $(milliseconds "$(p settle)"))) ] && passing_again && surely_steady; then return 0; fi
        [ "$(now)" -lt "$back_until" ] || return 1
        sleep 0.1
    done
}

# polite: seconds to wait for a guest that we give up: long only if it ever answered.
polite() { if [ "$(kept answered)" = yes ]; then kept stop_timeout; else echo 5; fi; }

# undo_installation: absent before, absent again. Volumes stay.
undo_installation() {
    stop_vm "$(polite)" || { outcome failed 40 ''; return; }
    if yielded; then return; fi
    # shellcheck disable=SC2086 # a list of unit names
    systemctl reset-failed -- "$unit" $helpers 2>/dev/null || :
    rm -f -- "$vmdir/current" "$vmdir/booted" "$vmdir/.current.$id"
    drop_new_number
    [ "$(kept flake)" = yes ] || rm -f -- "$vmdir/flake"
    if [ "$(kept gcroots)" != yes ]; then
        rm -f -- "/nix/var/nix/gcroots/microvm/$vm" "/nix/var/nix/gcroots/microvm/booted-$vm"
    fi
    if [ "$(kept directory)" = no ]; then
        # Only what the units left behind; a volume keeps the directory.
        rm -f -- "$vmdir/$vm.sock"
        rmdir -- "$vmdir" 2>/dev/null || :
    fi
    case $(reason) in
    check-failed | laptop-check-failed | no-answer) outcome failed 31 '' ;;
    *) outcome failed 30 '' ;;
    esac
}
