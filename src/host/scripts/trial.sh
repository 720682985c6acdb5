# trial.sh: what every transaction that undoes itself has in common: its guard, how its
# process is taken over, the wait for the verdict, and its end. What is tried, committed
# and undone is the business of the parts beside it: run, tick, ours_still, commit, leave,
# undo, resume, links_for_shutdown, console. Sourced by transaction.sh, power.sh, foreground.sh and host.sh.

# attend MODE: works on the transaction, or takes over from a process that is gone.
attend() {
    # Only one process works on a transaction: it holds this lock as long as it lives.
    exec 8>"$dir/alive"
    mode=$1
    if [ -e "$dir/outcome" ]; then clear_away; exit 0; fi

    case $mode in
    run)
        # begin.sh holds it until systemd has said that this runs.
        flock -w 60 8 || exit 75
        if [ -e "$dir/outcome" ]; then exit 0; fi
        lock_vm 2 || { refuse locked; exit 0; }
        if unfinished_neighbour; then refuse unfinished-before; exit 0; fi
        unroot_ended
        run
        ;;
    guard | stopped | close)
        if [ "$mode" = stopped ]; then flock -w 5 8 || exit 75; else flock -n 8 || { overdue; exit 75; }; fi
        if [ "$mode" = close ] && begins; then exit 75; fi
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
        # Where the outcome is known its links are there.
        if shutting_down; then [ -s "$dir/result/outcome" ] || links_for_shutdown; exit 0; fi
        lock_vm 60 || exit 75
        ;;
    *) exit 64 ;;
    esac
    finish
    exit 0
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

# fail WORD: on trial something went wrong.
fail() {
    release
    # What was kept free is for the verdict first.
    if [ -n "$(p keep_failed)" ]; then decide "keep.$1"; else decide "undo.$1"; fi
    console
    step failed "$1"
}

# interrupted: whether somebody decided meanwhile.
interrupted() { [ -L "$dir/decided" ]; }

# unfinished_neighbour: whether another switch of this VM, or of the hypervisor with all its
# VMs, died and waits to be ended.
unfinished_neighbour() { unfinished "$vm" || unfinished _host; }
# unfinished_guest: whether one of any VM did.
unfinished_guest() { unfinished ''; }

# unfinished VM: whether there is such a switch besides this one; of any when empty.
unfinished() {
    for neighbour in "$base"/transactions/*/; do
        neighbour=${neighbour%/}
        if [ "$neighbour" = "$dir" ] || [ -e "$neighbour/outcome" ] || [ ! -e "$neighbour/before/recorded" ]; then continue; fi
        if [ -z "$1" ] || [ "$(cat "$neighbour/p/vm" 2>/dev/null)" = "$1" ]; then return 0; fi
    done
    return 1
}

# verdict: waits for the laptop. Without one, the deadline decides.
verdict() {
    step waiting "$(p verdict)"
    until=$(($(now) + $(milliseconds "$(p verdict)")))
    while ! interrupted; do
        tick || { fail "$WHY"; return; }
        if [ "$(now)" -ge "$until" ]; then
            release
            decide undo.no-verdict || :
            console
            break
        fi
        sleep 0.05
    done
}

# finish: carries out what was decided and writes the outcome. When the disk is too full
# for that, the guard comes again.
finish() {
    release
    surely_decided || :
    verdict=$(decided)
    step decided "$verdict"
    if [ ! -s "$dir/result/outcome" ]; then
        if ! ours_still; then
            outcome failed 40 ''
            replace_decision undo.changed-by-others
        else
            case $verdict in
            commit.*)
                if ! commit; then
                    # What is committed is verified: the guard tries the rest again.
                    if [ "$(kept committed)" = yes ]; then exit 75; fi
                    replace_decision undo.commit-failed
                    undo
                fi
                ;;
            keep.*) leave ;;
            *) undo ;;
            esac
        fi
    else
        resume
    fi
    stop_watching
    put_away
    [ -s "$dir/result/outcome" ] && surely_decided && ledger && publish || exit 75
}

# surely_decided: there is a verdict, that which could not be written before if there was
# none; an end without one is an undo. The ledger has its reason from it.
surely_decided() { [ -L "$dir/decided" ] || decide "${UNWRITTEN:-undo.undecided}"; }

# replace_decision VERDICT: a commit that could not be carried out is undone.
replace_decision() { ln -sfnT -- "$1" "$dir/decided"; }
