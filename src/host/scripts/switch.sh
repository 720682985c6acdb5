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
    if interrupted; then return; fi
    watch_address
    STARTED=$(now)
    if ! stop_vm "$(kept stop_timeout)"; then fail stop-failed; return; fi
    keep shutdown "$SHUTDOWN"
    step stopped "$SHUTDOWN"
    interrupted && return
    # A guest may take minutes to stop.
    if ! ours_still; then fail changed-by-others; return; fi
    if ! install_directory || ! point "$to"; then fail flip-failed; return; fi
    step flipped
    start_vm "$to" || { fail "$WHY"; return; }
    step started "$PID"
    trial || { fail "$WHY"; return; }
    verdict
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
    # Where nothing is restarted, only the link is put back.
    [ "$how" != stage ] || back=$(kept current)
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

# install_directory: a VM that the hypervisor does not have gets its directory.
install_directory() {
    [ -d "$vmdir" ] && return 0
    # -h: whoever owns the state directory could put a link in its place meanwhile.
    mkdir -m 0775 -- "$vmdir" && chown -h -- microvm:kvm "$vmdir"
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
        ours_still || { WHY=changed-by-others; return 1; }
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

# console: the last lines of the invocation that failed, before it is undone.
console() {
    # Nothing was started yet, or it is there.
    if [ -e "$dir/console" ] || [ ! -e "$dir/before/trial_invocation" ]; then return 0; fi
    invocation=$(kept trial_invocation)
    # What it said last may be on its way still.
    timeout 5 journalctl --sync 2>/dev/null
    if [ -n "$invocation" ] && [ "$invocation" != "$(kept invocation)" ]; then
        journalctl -q -o cat -n 30 --no-pager "_SYSTEMD_INVOCATION_ID=$invocation"
    fi 2>/dev/null | cut -c 1-400 >"$dir/.console"
    # The main process never came so far, and systemd may have forgotten it by now; or it
    # was gone before the journal knew whose words those were: all that was said since. Where
    # somebody only did not want it any more, that explains nothing.
    [ -s "$dir/.console" ] || [ "$(decided)" = undo.interrupted ] ||
        journalctl -q -o cat -n 60 --no-pager --after-cursor "$(kept cursor)" -u "microvm-*@$vm.service" -u "$unit" 2>/dev/null |
        grep -v 'was skipped because of an unmet condition' | tail -n 30 | cut -c 1-400 >"$dir/.console"
    mv -f "$dir/.console" "$dir/console"
}
