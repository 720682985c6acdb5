# observe.sh STATE_DIR LEDGER_BYTES [VM RUNNER]...: everything that a plan needs to
# know about the hypervisor, in one look. For each VM named with the runner that is
# wanted, the closure of what it runs (or has staged) is listed when it differs.
# A login that is not root is only told who it is, what could make it root, and what
# Nix takes from it.
# stdout: fields, key and value in turn; those after `vm` belong to that VM
# exit code field: 0
state=$1 ledger_bytes=$2
shift 2
base=/var/lib/deployvm
pair() { field "$1"; field "$2"; }
# Below the state directory, whoever VMs run as may have put anything: links are read but
# never followed, and only what is plainly in the store is looked into.
in_store() {
    case ${1#/nix/store/} in "$1" | '' | .* | *[!-+._?=0-9a-zA-Z]*) return 1 ;; esac
}
# start_of FILE: at most 64 KiB, and not for ever: it may be a link to a pipe.
start_of() { timeout 5 head -c 65536 -- "$1" 2>/dev/null; }

pair host "$(uname -n)"
pair uid "$(id -u)"
if [ "$(id -u)" != 0 ]; then
    pair user "$(id -un)"
    pair groups "$(id -Gn)"
    for program in sudo doas run0; do
        if command -v "$program" >/dev/null 2>&1; then pair tool "$program"; fi
    done
    pair xargs "$(command -v xargs)"
    if [ -x /run/current-system/sw/bin/deployvm-entry ]; then pair entry yes; fi
    if [ -e /etc/NIXOS ]; then pair nixos yes; fi
    nix() { command nix --extra-experimental-features nix-command "$@"; }
    # Nix 2.8 does not say whether it trusts us; then the settings must do.
    pair trusted "$( (nix store info || nix store ping) 2>&1 | sed -n 's/^Trusted: *//p')"
    pair settings "$( (nix config show || nix show-config) 2>/dev/null |
        grep -E '^(require-sigs|trusted-(users|public-keys)) =')"
    finish 0
fi
pair machine "$(uname -m)"
pair nix "$(nix --version 2>/dev/null)"
pair systemd "$(systemctl --version 2>/dev/null | head -n 1)"
pair store_free "$(df -P -k /nix/store 2>/dev/null | awk 'NR == 2 { print $4 }')"
pair state_free "$(df -P -k /var/lib 2>/dev/null | awk 'NR == 2 { print $4 }')"
pair memory "$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)"
read -r up _ </proc/uptime
pair uptime "$up"
missing=
for program in awk base64 bash cut date df find flock grep head ip journalctl ln mkfifo nix nix-env nix-store \
    ping readlink sed setpriv sort stat sync systemctl systemd-run tail timeout tr; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
pair missing "$missing"
for device in /sys/class/net/*; do
    name=${device##*/}
    if [ -d "$device/bridge" ]; then pair bridge "$name"; fi
    pair device "$name $(readlink "$device/master" 2>/dev/null | sed 's|.*/||')"
done
pair autostart "$(systemctl show -p Wants --value microvms.target 2>/dev/null)"

units='' installs=''
for dir in "$state"/*/; do
    dir=${dir%/} vm=${dir##*/}
    case $vm in '' | '*' | [!0-9a-zA-Z]* | *[!-0-9a-zA-Z._]*) continue ;; esac
    if [ -L "$dir" ] || ! { [ -L "$dir/current" ] || [ -L "$dir/booted" ]; }; then continue; fi
    units="$units microvm@$vm.service" installs="$installs install-microvm-$vm.service"
done
paths=
if [ -n "$units" ]; then
    # shellcheck disable=SC2086 # names without blanks, see above
    pair units "$(systemctl show -p Id -p ActiveState -p SubState -p MainPID -p NRestarts -p InvocationID \
        -p ExecMainStartTimestampMonotonic -p TimeoutStopUSec -- $units 2>/dev/null)"
    # shellcheck disable=SC2086
    installed=$(systemctl show -p Id -p LoadState -p FragmentPath -- $installs 2>/dev/null)
fi

# owner VM: what install-microvm-VM.service does to `current`.
owner() {
    if [ -L "$state/$1/toplevel" ]; then echo host-owned; return; fi
    file=$(printf '%s\n' "$installed" | awk -v id="Id=install-microvm-$1.service" '
        $0 == id { mine = 1 } /^FragmentPath=/ { path = substr($0, 14) }
        /^$/ { if (mine) { print path; exit } mine = 0; path = "" } END { if (mine) print path }')
    if [ -z "$file" ]; then echo imperative
    elif grep -q '^ConditionPathExists=!' "$file" 2>/dev/null; then echo update-flake
    else echo host-owned; fi
}

odd=0
for dir in "$state"/*/; do
    dir=${dir%/} vm=${dir##*/}
    case $vm in
    '' | '*') continue ;;
    [!0-9a-zA-Z]* | *[!-0-9a-zA-Z._]*)
        odd=$((odd + 1))
        if [ $odd -le 20 ]; then pair odd "$vm"; fi
        continue
        ;;
    esac
    if [ -L "$dir" ]; then pair linked "$vm"; continue; fi
    # The directory stays when a first deployment was undone and a volume remains.
    [ -L "$dir/current" ] || [ -L "$dir/booted" ] || continue
    pair vm "$vm"
    current=$(readlink -- "$dir/current") booted=$(readlink -- "$dir/booted")
    pair current "$current"
    pair booted "$booted"
    paths="$paths
$current
$booted"
    if [ -f "$dir/flake" ] && [ ! -L "$dir/flake" ]; then pair flake "$(head -c 4096 -- "$dir/flake")"; fi
    pair mode "$(owner "$vm")"
    for link in "$base/profiles/$vm"-*-link; do
        [ -L "$link" ] || continue
        number=${link#"$base/profiles/$vm-"} number=${number%-link}
        case $number in '' | *[!0-9]*) continue ;; esac
        pair generation "$number $(stat -c %Y -- "$link") $(readlink -- "$link")"
    done
    pair profile "$(readlink -- "$base/profiles/$vm")"
    for pin in "$base/pins/$vm"/*; do if [ -e "$pin" ]; then pair pin "${pin##*/}"; fi; done
    if [ -e "/run/deployvm/$vm.lock" ] && ! flock -s -n "/run/deployvm/$vm.lock" true 2>/dev/null; then
        pair locked "$(head -c 500 "/run/deployvm/$vm.holder" 2>/dev/null)"
    fi
    pid=$(systemctl show -p MainPID --value -- "microvm@$vm.service")
    if [ "${pid:-0}" -gt 0 ] && [ -r "/proc/$pid/stat" ]; then
        ticks=$(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 20)
        pair process "$pid $ticks"
        pair cmdline "$(tr '\000' '\n' <"/proc/$pid/cmdline" | head -c 65536)"
        pair record "$(head -c 500 "$base/running/$vm" 2>/dev/null)"
        if in_store "$current"; then pair run_current "$(start_of "$current/bin/microvm-run")"; fi
        if in_store "$booted"; then pair run_booted "$(start_of "$booted/bin/microvm-run")"; fi
    fi
done

invalid() {
    # shellcheck disable=SC2046 # store paths have neither blanks nor stars; others are dropped
    set -- $(printf '%s\n' "$paths" | grep -E '^/nix/store/[0-9a-z]{32}-[-+._?=0-9a-zA-Z]+$' | sort -u)
    [ $# = 0 ] || nix-store --check-validity --print-invalid "$@" 2>/dev/null
}
pair invalid "$(invalid)"

# ended DIR: a switch of whose end nobody has heard: its id, its VM, who began it, and
# its outcome, a line each.
ended() {
    printf '%s\n%s\n%s\n' "${1##*/}" "$(cat "$1/p/vm" 2>/dev/null)" "$(head -n 1 "$1/p/holder" 2>/dev/null)"
    cat "$1/outcome"
}
# begins DIR: whether systemd has just started what works on it.
begins() {
    [ ! -e "$1/before/boot" ] &&
        systemctl is-active --quiet "deployvm-$(cat "$1/p/verb" 2>/dev/null)-$(cat "$1/p/vm" 2>/dev/null)-${1##*/}" 2>/dev/null
}
for dir in "$base"/transactions/*/; do
    dir=${dir%/}
    if [ ! -d "$dir" ]; then continue; fi
    if [ -e "$dir/outcome" ]; then
        if [ ! -e "$dir/heard" ]; then pair ended "$(ended "$dir")"; fi
        continue
    fi
    if ! flock -s -n "$dir/alive" true 2>/dev/null || begins "$dir"; then alive=yes; else alive=no; fi
    pair transaction "${dir##*/} $alive $(cat "$dir/p/vm" 2>/dev/null)"
done

while [ $# -ge 2 ]; do
    there=$(readlink -- "$state/$1/booted") || there=$(readlink -- "$state/$1/current") || there=
    if in_store "$there" && [ "$there" != "$2" ]; then
        field closure
        field "$there"
        field "$(nix --extra-experimental-features nix-command path-info -r -s "$there" 2>/dev/null)"
    fi
    shift 2
done
# older: of what comes before the ledger's end, the newest eight lines for each VM that say
# what it got, or that it was started with it, however long ago that was; looked for in
# 64 MiB.
older() {
    all=$(stat -c %s -- "$base/ledger.jsonl" 2>/dev/null) || return 0
    # A line may reach into the end.
    before=$((all - ledger_bytes + 65536)) start=0
    if [ "$all" -le "$ledger_bytes" ]; then return 0; fi
    if [ "$before" -gt 67108864 ]; then start=$((before - 67108864)); fi
    tail -c +$((start + 1)) -- "$base/ledger.jsonl" | head -c $((before - start)) |
        grep -a -E '"result":"(deployed|staged|done)"' |
        awk 'match($0, /"vm":"[^"]*"/) {
                vm = substr($0, RSTART, RLENGTH)
                place = vm (count[vm]++ % 8)
                if (place in at) delete line[at[place]]
                at[place] = NR
                line[NR] = $0
            }
            END { for (n = 1; n <= NR; n++) if (n in line) print line[n] }' |
        tail -c 4194304
}
pair ledger "$({ older && tail -c "$ledger_bytes" "$base/ledger.jsonl"; } 2>/dev/null | tr -d '\000')"
finish 0
