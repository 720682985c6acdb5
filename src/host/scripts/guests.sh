# guests.sh: the microVMs around a switch of the hypervisor's own system: kept from
# others, looked at before and after, brought back as they were. Sourced by host.sh.

# guests: the VMs that are here, one a line.
guests() {
    for guest_dir in "$(p state_dir)"/*/; do
        guest_dir=${guest_dir%/} guest=${guest_dir##*/}
        case $guest in '' | '*' | [!0-9a-zA-Z]* | *[!-0-9a-zA-Z._]*) continue ;; esac
        if [ -L "$guest_dir" ] || ! { [ -L "$guest_dir/current" ] || [ -L "$guest_dir/booted" ]; }; then continue; fi
        echo "$guest"
    done
}

# hold_guests SECONDS: takes the locks of all VMs, so that nobody switches one meanwhile.
# One process holds them; it ends soon after us, however we end.
hold_guests() {
    rm -f -- "$dir/held"
    # shellcheck disable=SC2016 # the inner shell's own
    set -- "$1" sh -c 'echo $$ >"$0"; while kill -0 "$1" 2>/dev/null; do sleep 1; done' "$dir/held" "$$"
    for guest in $(guests); do
        { true >>"/run/deployvm/$guest.lock"; } 2>/dev/null || return 1
        hold_wait=$1
        shift
        set -- "$hold_wait" flock -o -w "$hold_wait" "/run/deployvm/$guest.lock" "$@"
    done
    shift
    "$@" >/dev/null 2>&1 </dev/null 8>&- 9>&- &
    hold_pid=$!
    until [ -s "$dir/held" ]; do
        kill -0 "$hold_pid" 2>/dev/null || return 1
        sleep 0.05
    done
    for guest in $(guests); do p holder >"/run/deployvm/$guest.holder"; done
}

# let_go: of these locks.
let_go() {
    [ -s "$dir/held" ] || return 0
    kill "$(cat "$dir/held")" 2>/dev/null
    rm -f -- "$dir/held"
    for guest in $(guests); do
        if [ "$(said "/run/deployvm/$guest.holder")" = "$(p holder)" ]; then rm -f -- "/run/deployvm/$guest.holder"; fi
    done
}

# states VM...: how their units are now, a line each: name, ActiveState, main process.
# No answer, as while systemd re-executes itself, is not an answer.
states() {
    if [ $# = 0 ]; then return 0; fi
    states_said='' states_units=''
    for guest; do states_units="$states_units microvm@$guest.service"; done
    for states_round in 1 2 3 4 5 6 7 8 9 10; do
        # shellcheck disable=SC2086 # a list of unit names
        states_said=$(systemctl show -p Id -p ActiveState -p MainPID -- $states_units 2>/dev/null | awk -F '=' '
            $1 == "Id" { id = $2; sub(/^microvm@/, "", id); sub(/\.service$/, "", id) }
            $1 == "ActiveState" { active = $2 }
            $1 == "MainPID" { pid = $2 }
            /^$/ { if (id != "") print id, active, pid; id = "" }
            END { if (id != "") print id, active, pid }')
        if [ -n "$states_said" ]; then break; fi
        if [ "$states_round" -lt 10 ]; then sleep 0.5; fi
    done
    printf '%s\n' "$states_said"
}

# was VM: how its unit was before anything was touched: ActiveState, main process.
was() { awk -v vm="$1" '$1 == vm { print $2, $3 }' "$dir/before/states" 2>/dev/null; }

# ran VM: whether its main process ran then.
ran() { case $(was "$1") in 'active 0') return 1 ;; 'active '*) return 0 ;; *) return 1 ;; esac }

# expected: the VMs that must run after the switch: those that ran, and those that it
# starts by what the plan says.
expected() {
    for guest in $(said "$dir/before/guests"); do if ran "$guest"; then echo "$guest"; fi; done
    for guest in $(p starts); do if ! ran "$guest"; then echo "$guest"; fi; done
}

# record_guests: how all of them are now.
record_guests() {
    guests >"$dir/before/guests" || return 1
    # shellcheck disable=SC2046 # names without blanks
    states $(guests) >"$dir/before/states" || return 1
    for guest in $(guests); do
        keep "current-$guest" "$(readlink -- "$(p state_dir)/$guest/current" || :)" || return 1
        keep "booted-$guest" "$(readlink -- "$(p state_dir)/$guest/booted" || :)" || return 1
    done
}

# down: one of those that must run and does not, empty when all do.
down() {
    # shellcheck disable=SC2046 # names without blanks
    states $(expected) | awk '$2 != "active" || $3 == 0 { print $1; exit }'
}

# bring_back: every VM as it was. What ran runs what it had booted, what did not does not,
# and `current` is what it was.
bring_back() {
    back_failed=0
    for guest in $(said "$dir/before/guests"); do (about "$guest" && one_back) || back_failed=1; done
    for guest in $(guests); do
        if grep -qxF -- "$guest" "$dir/before/guests" || ! installs "$guest"; then continue; fi
        (about "$guest" && one_away) || back_failed=1
    done
    return $back_failed
}

one_back() {
    back_booted=$(kept "booted-$vm") back_current=$(kept "current-$vm")
    look || return 1
    if ran "$vm"; then
        if [ "$ACTIVE" != active ] || [ "$PID" = 0 ] || [ "$(readlink -- "$vmdir/booted")" != "$back_booted" ]; then
            step bringing-back "$vm"
            point "$back_booted" && stop_vm "$(stop_timeout)" && start_vm "$back_booted" || return 1
        fi
    elif [ "$ACTIVE" = active ]; then
        # The switch has started it.
        case $(was "$vm") in 'inactive '*) stop_vm "$(stop_timeout)" || return 1 ;; esac
    fi
    [ -z "$back_current" ] || [ "$(readlink -- "$vmdir/current")" = "$back_current" ] || point "$back_current"
}

# installs VM: whether the new system does, rather than somebody else meanwhile.
installs() { [ -e "$to/etc/systemd/system/install-microvm-$1.service" ]; }

# one_away: one that the switch has installed; what it wrote into a volume stays.
one_away() {
    stop_vm "$(stop_timeout)" || return 1
    # shellcheck disable=SC2086 # a list of unit names
    systemctl reset-failed -- "$unit" $helpers 2>/dev/null || :
    rm -f -- "$vmdir/current" "$vmdir/booted" "$vmdir/toplevel" "$vmdir/flake" "$vmdir/$vm.sock"
    rmdir -- "$vmdir" 2>/dev/null || :
}
