# undo.sh: the way back, and the end of every transaction. Every function here can be
# run again after it was killed half-way. Sourced by transaction.sh.

# finish: carries out what was decided and writes the outcome.
finish() {
    [ -n "$(decided)" ] || decide undo.undecided
    verdict=$(decided)
    step decided "$verdict"
    case $verdict in
    commit.*) commit || { replace_decision undo.commit-failed; undo; } ;;
    keep.*) leave ;;
    *) undo ;;
    esac
    stop_watching
    ledger
    publish
}

# replace_decision VERDICT: a commit that could not be carried out is undone.
replace_decision() { ln -sfnT -- "$1" "$dir/decided"; }

# commit: `current` forward, a number, the roots that the microvm command expects.
commit() {
    step committing
    if [ "$how" != stage ]; then still_new || return 1; fi
    if [ "$(kept directory)" != yes ]; then install_directory || return 1; fi
    point "$to" || return 1
    number=$(make_generation "$to") || return 1
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

# still_new: the verdict was for a process that still lives. After a takeover only
# the unit can tell.
still_new() {
    if [ -n "${TRIAL_PID:-}" ]; then steady; return; fi
    look
    [ "$ACTIVE" = active ] && [ "$PID" != 0 ] && [ "$(readlink -- "$vmdir/booted")" = "$to" ]
}

# leave: --keep-failed: it stays as it is, with a number that is marked unverified.
leave() {
    point "$to" || :
    number=$(make_generation "$to") || number=
    [ -z "$number" ] || keep_terms "$number"
    upstream_roots
    write_flake
    outcome failed 32 "$number"
}

# restore_links: all that an undo may do while the host itself goes down.
restore_links() {
    old=$(runner_to_restore)
    [ "$how" = stage ] && old=$(kept current)
    if [ -n "$old" ]; then point "$old"; else rm -f -- "$vmdir/current"; fi
}

# undo: what was there before, links first, then the process, then the checks.
undo() {
    step undoing "$(reason)"
    console
    case $(kept directory) in
    '') outcome refused 12 ''; return ;;
    esac
    if [ "$how" = stage ]; then
        restore_links
        outcome failed 30 ''
        return
    fi
    if [ -z "$(kept current)" ] && [ -z "$(kept booted)" ]; then undo_installation; return; fi
    old=$(runner_to_restore)
    if ! point "$old"; then outcome failed 40 ''; return; fi
    look
    case $(kept was_up) in
    yes)
        tries=0
        until back_up "$old"; do
            tries=$((tries + 1))
            if [ $tries -ge 3 ]; then outcome failed 40 ''; return; fi
        done
        ;;
    *)
        stop_vm "$(polite)" || { outcome failed 40 ''; return; }
        # shellcheck disable=SC2086 # a list of unit names
        systemctl reset-failed -- "$unit" $helpers 2>/dev/null || :
        if [ "$(kept was_up)" = trying ]; then systemctl start --no-block -- "$unit"; fi
        ;;
    esac
    # What was staged but not booted is staged again.
    if [ "$(kept current)" != "$old" ] && [ -n "$(kept current)" ]; then point "$(kept current)"; fi
    repoint_profile
    remember_running
    case $(reason) in
    check-failed | laptop-check-failed | no-answer) outcome rolled-back 31 '' ;;
    *) outcome rolled-back 30 '' ;;
    esac
}

# back_up RUNNER: that runner runs, settled, and what passed before passes again.
back_up() {
    look
    if [ "$ACTIVE" = active ] && [ "$PID" != 0 ] && [ "$(readlink -- "$vmdir/booted")" = "$1" ]; then
        # It never went down, or systemd has brought it back by itself.
        TRIAL_PID=$PID TRIAL_INVOCATION=$INVOCATION STARTED=$(now)
    else
        stop_vm "$(polite)" || return 1
        start_vm "$1" || return 1
    fi
    step restarted "$PID"
    until=$((STARTED + $(milliseconds "$(p boot)")))
    while :; do
        steady || return 1
        if [ "$(now)" -ge $((STARTED + $(milliseconds "$(p settle)"))) ] && passing_again; then return 0; fi
        [ "$(now)" -lt "$until" ] || return 1
        sleep 0.1
    done
}

# polite: seconds to wait for a guest that we give up: long only if it ever answered.
polite() { if [ "$(kept answered)" = yes ]; then kept stop_timeout; else echo 5; fi; }

# undo_installation: absent before, absent again. Volumes stay.
undo_installation() {
    stop_vm "$(polite)" || { outcome failed 40 ''; return; }
    # shellcheck disable=SC2086 # a list of unit names
    systemctl reset-failed -- "$unit" $helpers 2>/dev/null || :
    rm -f -- "$vmdir/current" "$vmdir/booted" "$vmdir/.current.$id"
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
