# doctor.sh MODE STATE_DIR: reports what is known to break deployments; it judges
# nothing and changes nothing. MODE `login` tells what the login finds that `nix copy`
# uses, and needs no root; MODE `all` tells that and the rest. What observe.sh tells is
# not told again.
# stdout: fields, key and value in turn; those after `vm` belong to that VM
# exit code field: 0
mode=$1 state=$2
base=/var/lib/deployvm
pair() { field "$1"; field "$2"; }
# Below the state directory, whoever VMs run as may have put anything: links are read but
# never followed, and only what is plainly in the store is looked into.
in_store() {
    case ${1#/nix/store/} in "$1" | '' | .* | *[!-+._?=0-9a-zA-Z]*) return 1 ;; esac
}
# start_of FILE: at most 64 KiB, and not for ever: it may be a link to a pipe.
start_of() { timeout 5 head -c 65536 -- "$1" 2>/dev/null | tr -d '\000'; }
have() { command -v "$1" >/dev/null 2>&1; }

# The PATH of the session itself, without what the prelude put in front.
own=${PATH#*:/usr/sbin:/usr/bin:/sbin:/bin} own=${own#:}
pair login_nix "$(PATH=$own; command -v nix-daemon 2>/dev/null && command -v nix-store 2>/dev/null)"
pair login_path "$own"
pair login_uid "$(id -u)"
if [ -S /nix/var/nix/daemon-socket/socket ]; then pair socket yes; fi
[ "$mode" = all ] || finish 0

pair now "$(date +%s)"
if [ -e /etc/NIXOS ]; then pair nixos yes; fi
if have microvm; then
    pair microvm yes
    features() { nix --extra-experimental-features nix-command "$@" 2>/dev/null | sed -n 's/^experimental-features = *//p'; }
    all=$(features config show)
    pair features "${all:-$(features show-config)}"
fi
for program in curl getent ping; do
    if ! have $program; then pair lacks $program; fi
done

# disk PLACE: its file system, as far as a deployment needs it.
disk() {
    place=$1
    while [ ! -d "$place" ] && [ -n "$place" ]; do place=${place%/*}; done
    pair disk "$1 $(stat -f -c '%i %S %b %a %c %d %T' -- "${place:-/}" 2>/dev/null)"
}
disk /nix/store
disk "$state"
disk "$base"
disk /run
place=$base
if [ ! -d "$place" ]; then place=/var/lib; fi
if [ ! -w "$place" ]; then pair read_only "$place"; fi

# The units of a VM that does not exist: what the templates say.
properties() { systemctl show -p Id -p LoadState -p User -p Group -p ActiveState -- "$@" 2>/dev/null; }
pair templates "$(properties microvm@deployvm-doctor.service microvm-set-booted@deployvm-doctor.service)"
pair services "$(properties systemd-networkd.service nix-daemon.socket)"
# property NAME UNIT
property() { systemctl show -p "$1" --value -- "$2" 2>/dev/null; }
pair failed "$(systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null | awk '{ print $1 }' | head -n 200)"
pair guards "$(systemctl list-units --all --plain --no-legend --no-pager 'deployvm-guard-*.timer' 2>/dev/null | awk '{ print $1 }')"
pair at_boot "$(property WantedBy microvms.target) $(property RequiredBy microvms.target)"
for unit in $(systemctl list-unit-files --plain --no-legend --no-pager 'install-microvm-*.service' 2>/dev/null | awk '{ print $1 }'); do
    vm=${unit#install-microvm-} vm=${vm%.service}
    case $vm in '' | [!0-9a-zA-Z]* | *[!-0-9a-zA-Z._]*) continue ;; esac
    if grep -q '^ConditionPathExists=!' "$(property FragmentPath "$unit")" 2>/dev/null; then pair install "$vm once"; else pair install "$vm always"; fi
done
user=$(property User microvm-set-booted@deployvm-doctor.service)
group=$(property Group microvm-set-booted@deployvm-doctor.service)
runs_as=$(property User microvm@deployvm-doctor.service)
# as USER GROUP WORD...: as that user; as we are for none, or one that does not exist.
as() {
    if id -- "$1" >/dev/null 2>&1; then
        as_user=$1 as_group=$2
        shift 2
        setpriv --reuid="$as_user" --regid="${as_group:-kvm}" --init-groups -- "$@"
    else
        shift 2
        "$@"
    fi
}
if [ ! -e /dev/kvm ]; then pair kvm missing
elif as "$runs_as" "$group" test -r /dev/kvm -a -w /dev/kvm; then pair kvm ok
else pair kvm "denied $(stat -c '%U:%G %a' /dev/kvm 2>/dev/null)"; fi

pair addresses "$(ip -o address show 2>/dev/null | awk '$4 !~ /^fe80:/ { print $2, $4 }')"
for device in /sys/class/net/*; do
    kind=other
    if [ -e "$device/tun_flags" ]; then kind=tap; elif [ -d "$device/bridge" ]; then kind=bridge; fi
    master=$(readlink "$device/master" 2>/dev/null)
    pair device "${device##*/} $(cat "$device/flags" 2>/dev/null) $kind ${master##*/}"
done
pair forwarding "$(cat /proc/sys/net/ipv4/ip_forward 2>/dev/null)"

# Roots that should have been let go: of a day ago, or of a switch that has ended.
pair roots_old "$(find /nix/var/nix/gcroots/deployvm -maxdepth 1 -name '*-pending-*' -mmin +1440 -printf '%f\n' 2>/dev/null | head -n 50)"
ended() {
    for root in /nix/var/nix/gcroots/deployvm/*-from /nix/var/nix/gcroots/deployvm/*-to; do
        [ -L "$root" ] || continue
        id=${root##*/} id=${id%-*}
        if [ -e "$base/transactions/$id/outcome" ]; then echo "${root##*/}"; fi
    done
}
pair roots_ended "$(ended | head -n 50)"

ledger=$base/ledger.jsonl
if [ -L "$ledger" ]; then pair ledger "link $(readlink -- "$ledger")"
elif [ -f "$ledger" ]; then
    pair ledger "file $(stat -c %s -- "$ledger") $(tail -c 1 -- "$ledger" | wc -l)"
    pair ledger_end "$(tail -c 65536 -- "$ledger" 2>/dev/null | tr '\000' '?')"
elif [ -e "$ledger" ]; then pair ledger "other $(stat -c %F -- "$ledger")"; fi

# local_path REFERENCE: the path on this machine that it means; nothing where it is none.
local_path() {
    local_ref=${1%%[?#]*}
    case $local_ref in
    git+file://* | file://*) echo "/${local_ref#*:///}" ;;
    git+file:* | path:*) echo "${local_ref#*:}" ;;
    /*) echo "$local_ref" ;;
    esac
}
if [ -d "$state" ]; then pair state_directory "$(stat -c '%U:%G %a' -- "$state")"; fi
paths=
for dir in "$state"/*/; do
    dir=${dir%/} vm=${dir##*/}
    case $vm in '' | '*' | [!0-9a-zA-Z]* | *[!-0-9a-zA-Z._]*) continue ;; esac
    if [ -L "$dir" ]; then continue; fi
    pair vm "$vm"
    pair owner "$(stat -c '%U:%G %a' -- "$dir")"
    if as "$user" "$group" test -w "$dir" -a -x "$dir"; then pair writable yes; fi
    current=$(readlink -- "$dir/current") booted=$(readlink -- "$dir/booted")
    if [ -n "$current" ] && ! in_store "$current"; then pair ends_at "$(readlink -f -- "$dir/current")"; fi
    pair toplevel "$(readlink -- "$dir/toplevel")"
    pair root_current "$(readlink -- "/nix/var/nix/gcroots/microvm/$vm")"
    pair root_booted "$(readlink -- "/nix/var/nix/gcroots/microvm/booted-$vm")"
    if [ -f "$dir/flake" ] && [ ! -L "$dir/flake" ]; then
        path=$(local_path "$(head -n 1 -- "$dir/flake" | head -c 4096)")
        if [ -n "$path" ] && [ -e "$path" ]; then pair flake_there yes; fi
    fi
    if in_store "$current"; then
        pair system "$(readlink -- "$current/share/microvm/system")"
        pair kind "$(start_of "$current/share/microvm/hypervisor")"
        pair taps "$(start_of "$current/share/microvm/tap-interfaces")"
        pair cid "$(start_of "$current/share/microvm/vsock-cid")"
        pair run "$(start_of "$current/bin/microvm-run")"
    fi
    if in_store "$booted"; then pair booted_taps "$(start_of "$booted/share/microvm/tap-interfaces")"; fi
    for link in "$base/profiles/$vm"-*-link; do
        number=${link#"$base/profiles/$vm-"} number=${number%-link}
        case $number in '' | *[!0-9]*) continue ;; esac
        if [ -L "$link" ]; then paths="$paths $(readlink -- "$link")"; fi
    done
done
lost() {
    # shellcheck disable=SC2046,SC2086 # store paths have neither blanks nor stars; others are dropped
    set -- $(printf '%s\n' $paths | grep -E '^/nix/store/[0-9a-z]{32}-[-+._?=0-9a-zA-Z]+$' | sort -u)
    [ $# = 0 ] || printf '%s\n' "$@" | xargs nix-store --check-validity --print-invalid 2>/dev/null
}
pair lost "$(lost)"
finish 0
