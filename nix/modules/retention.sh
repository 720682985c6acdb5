#!/bin/sh
# retention.sh KEEP: drops old generations of every microVM. Kept are the KEEP newest, KEEP
# verified ones counted back from the one that the profile is at, so that a rollback has
# where to go, and each that is current, booted, recorded as running, or pinned. A VM at
# which somebody works is left alone.
#
# Run once a day by the unit deployvm-retention (hypervisor.nix).
# Arguments: KEEP, at least 2.   Stdout: a line for each VM of which something was dropped.
# Exit: 0; 64 without a number; 1 when something could not be dropped.
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 022
keep=${1-}
case $keep in '' | *[!0-9]* | 0 | 1) exit 64 ;; esac
base=/var/lib/deployvm
state=/var/lib/microvms
status=0
# shellcheck disable=SC2174 # the parents exist on every system
mkdir -p -m 0700 /run/deployvm || exit 1

# numbers VM: its generations, the newest first.
numbers() {
    for link in "$base/profiles/$1"-*-link; do
        n=${link#"$base/profiles/$1-"} n=${n%-link}
        case $n in '' | *[!0-9]*) ;; *) echo "$n" ;; esac
    done | sort -rn
}

# doubtful VM: those that were only staged or left failing, as the ledger has it.
doubtful() {
    [ -e "$base/ledger.jsonl" ] || return 0
    awk -v vm="\"vm\":\"$1\"," '
        !index($0, vm) || !match($0, /"generation":[0-9]+,"result":"[a-z-]+"/) { next }
        {
            split(substr($0, RSTART, RLENGTH), word, /[":,]+/)
            number = word[3]; result = word[5]
            if (result == "deployed" || (result == "done" && /"verb":"(re)?start"/)) good[number] = 1
            if ((result == "staged" || result == "failed") && /"verb":"(push|adopt|rollback)"/) doubt[number] = 1
        }
        END { for (number in doubt) if (!(number in good)) print number }' "$base/ledger.jsonl"
}

# busy VM: whether it has a transaction without an outcome.
busy() {
    for dir in "$base"/transactions/*/; do
        if [ -d "$dir" ] && [ ! -e "$dir/outcome" ] && [ "$(cat "$dir/p/vm" 2>/dev/null)" = "$1" ]; then return 0; fi
    done
    return 1
}

# used VM NUMBER: whether something but its age keeps it.
used() {
    [ ! -e "$base/pins/$1/$2" ] || return 0
    path=$(readlink -- "$base/profiles/$1-$2-link") || return 0
    [ "$path" != "$(readlink -- "$state/$1/current")" ] && [ "$path" != "$(readlink -- "$state/$1/booted")" ] &&
        [ "$path" != "$(cut -d ' ' -f 1 "$base/running/$1" 2>/dev/null)" ] || return 0
    return 1
}

# drop VM: with its lock held.
drop() {
    at=$(readlink -- "$base/profiles/$1") && at=${at%-link} at=${at##*-} || return 0
    case $at in '' | *[!0-9]*) return 0 ;; esac
    newest=0 back=0 old='' doubts=" $(doubtful "$1" | tr '\n' ' ')"
    for n in $(numbers "$1"); do
        newest=$((newest + 1))
        if [ "$n" -le "$at" ]; then
            case $doubts in
            *" $n "*) ;;
            *)
                back=$((back + 1))
                if [ "$back" -le "$keep" ]; then continue; fi
                ;;
            esac
        fi
        if [ "$newest" -le "$keep" ]; then continue; fi
        used "$1" "$n" || old="$old $n"
    done
    [ -n "$old" ] || return 0
    for n in $old; do rm -f -- "$base/profiles/$1-$n-link" "$base/terms/$1/$n.json" || return 1; done
    echo "$1: dropped$old"
}

for profile in "$base"/profiles/*; do
    vm=${profile##*/}
    case $vm in [!0-9a-zA-Z]* | *[!-0-9a-zA-Z._]* | *-link | *.lock) continue ;; esac
    [ -L "$profile" ] || continue
    (
        exec 9>"/run/deployvm/$vm.lock"
        flock -n 9 || exit 0
        if busy "$vm"; then exit 0; fi
        drop "$vm"
    ) || status=1
done
exit $status
