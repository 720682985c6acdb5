# guests.sh: the microVMs around a switch of the hypervisor's own system: kept from
# others, looked at before and after, brought back as they were. Sourced by host.sh.

# Where the process that holds their locks says who it is: no pid outlives a boot, and a
# full disk does not matter.
held=/run/deployvm/held-$id

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
    rm -f -- "$held"
    # shellcheck disable=SC2016 # the inner shell's own
    set -- "$1" sh -c 'echo $$ >"$0" && [ -s "$0" ] || exit 1; while kill -0 "$1" 2>/dev/null; do sleep 1; done' "$held" "$$"
    for guest in $(guests); do
        { true >>"/run/deployvm/$guest.lock"; } 2>/dev/null || return 1
        hold_wait=$1
        shift
        set -- "$hold_wait" flock -o -w "$hold_wait" "/run/deployvm/$guest.lock" "$@"
    done
    shift
    "$@" >/dev/null 2>&1 </dev/null 8>&- 9>&- &
    HOLDER=$!
    until [ -s "$held" ]; do
        alive "$HOLDER" || return 1
        sleep 0.05
    done
    for guest in $(guests); do p holder >"/run/deployvm/$guest.holder"; done
}

# holding: whether this process has them. Those of one that died end within a second.
holding() { [ -n "${HOLDER:-}" ] && alive "$HOLDER"; }

# let_go: of these locks.
let_go() {
    holding && [ -s "$held" ] || return 0
    kill "$(said "$held")" 2>/dev/null
    HOLDER=
    rm -f -- "$held"
    for guest in $(guests); do
        if [ "$(said "/run/deployvm/$guest.holder")" = "$(p holder)" ]; then rm -f -- "/run/deployvm/$guest.holder"; fi
    done
}

# states VM...: how their units are now, a line each: name, ActiveState, main process.
# No answer, as while systemd re-executes itself, is not an answer: then it fails.
states() {
    if [ $# = 0 ]; then return 0; fi
    states_units=''
    for guest; do states_units="$states_units microvm@$guest.service"; done
    for states_round in 1 2 3 4 5 6 7 8 9 10; do
        # shellcheck disable=SC2086 # a list of unit names
        if states_said=$(systemctl show -p Id -p ActiveState -p MainPID -- $states_units 2>/dev/null | awk -F '=' -v wanted=$# '
            function one() { if (id != "") { print id, active, pid; found++ } id = "" }
            $1 == "Id" { id = $2; sub(/^microvm@/, "", id); sub(/\.service$/, "", id) }
            $1 == "ActiveState" { active = $2 }
            $1 == "MainPID" { pid = $2 }
            /^$/ { one() }
            END { one(); exit (found != wanted) }'); then
            printf '%s\n' "$states_said"
            return 0
        fi
        if [ "$states_round" -lt 10 ]; then sleep 0.5; fi
    done
    return 1
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

# record_guests: how all of them are now. What an undo boots is held: a link that the
# switch replaces may be all that holds it.
record_guests() {
    guests >"$dir/before/guests" || return 1
    # shellcheck disable=SC2046 # names without blanks
    states $(guests) >"$dir/before/states" || return 1
    old_roots=0
    for guest in $(guests); do
        for old_link in current booted toplevel; do
            old_path=$(readlink -- "$(p state_dir)/$guest/$old_link") || old_path=
            keep "$old_link-$guest" "$old_path" && hold_old "$old_path" || return 1
        done
    done
}

# hold_old PATH: as long as this lasts, if it is in the store.
hold_old() {
    case $1 in /nix/store/*) ;; *) return 0 ;; esac
    old_roots=$((old_roots + 1))
    root "old$old_roots" "$1"
}

# all_up: whether all that must run do; how, in TRIAL. One that does not, in DOWN, which is
# empty when systemd does not answer.
all_up() {
    DOWN=
    # shellcheck disable=SC2046 # names without blanks
    TRIAL=$(states $(expected)) || return 1
    DOWN=$(printf '%s\n' "$TRIAL" | awk 'NF && ($2 != "active" || $3 == 0) { print $1; exit }')
    [ -z "$DOWN" ]
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
    elif [ "$ACTIVE" = active ] && same_boot; then
        # The switch has started it.
        case $(was "$vm") in 'inactive '*) stop_vm "$(stop_timeout)" || return 1 ;; esac
    elif [ "$ACTIVE" = active ] && [ -n "$back_current" ] && [ "$(readlink -- "$vmdir/booted")" != "$back_current" ]; then
        # The machine has started it as the switch had left it.
        step bringing-back "$vm"
        point "$back_current" && stop_vm "$(stop_timeout)" && start_vm "$back_current" || return 1
    fi
    toplevel_back || return 1
    [ -z "$back_current" ] || [ "$(readlink -- "$vmdir/current")" = "$back_current" ] || point "$back_current"
}

# toplevel_back: the link by which a hypervisor's own VM is known is what it was, or is not
# there, as before.
toplevel_back() {
    back_toplevel=$(kept "toplevel-$vm")
    if [ "$(readlink -- "$vmdir/toplevel")" = "$back_toplevel" ]; then return 0; fi
    if [ -z "$back_toplevel" ]; then rm -f -- "$vmdir/toplevel"; return; fi
    ln -sfn -- "$back_toplevel" "$vmdir/.toplevel.$id" &&
        chown -h --reference="$vmdir/current" -- "$vmdir/.toplevel.$id" &&
        mv -fT -- "$vmdir/.toplevel.$id" "$vmdir/toplevel"
}

# links_back: what the next boot starts is what ran, or was to be started.
links_back() {
    for guest in $(said "$dir/before/guests"); do
        about "$guest"
        if ran "$vm"; then links_to=$(kept "booted-$vm"); else links_to=$(kept "current-$vm"); fi
        if [ -n "$links_to" ] && [ "$(readlink -- "$vmdir/current")" != "$links_to" ]; then point "$links_to"; fi
        toplevel_back
    done
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
