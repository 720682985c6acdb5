# retention.sh: which generations are old enough to go. Stands in front of prune.sh, and of
# what the hypervisor's module runs once a day (nix/modules/retention.sh). Kept are the
# newest $keep, as many verified ones counted back from the one that the profile is at, so
# that a rollback has where to go, and each that is current, booted, recorded as running,
# or pinned. A VM at which somebody works is left alone.
base=/var/lib/deployvm
state=/var/lib/microvms

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

# old VM: the numbers that may go, the newest first; none where the profile is at none.
old() {
    at=$(readlink -- "$base/profiles/$1") && at=${at%-link} at=${at##*-} || return 0
    case $at in '' | *[!0-9]*) return 0 ;; esac
    newest=0 back=0 doubts=" $(doubtful "$1" | tr '\n' ' ')"
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
        used "$1" "$n" || echo "$n"
    done
}

# hold VM: takes its lock; fails where somebody works on it.
hold() {
    exec 9>"/run/deployvm/$1.lock"
    flock -n 9 && ! busy "$1"
}

# forget VM NUMBER: a generation goes, with all that was kept of it.
forget() { rm -f -- "$base/profiles/$1-$2-link" "$base/terms/$1/$2.json"; }
