# checks.sh: the hypervisor's own checks of a VM: before, on trial and after an undo.
# Sourced by transaction.sh.

# ping_once ADDRESS
ping_once() { ping -n -q -c 1 -W 1 -- "$1" >/dev/null 2>&1; }

# probe NN: one attempt of one check; words as probe.sh prints them, in FOUND. What one
# that is killed leaves behind goes with the transaction.
probe() {
    c=$dir/c/$1
    FOUND=$(TMPDIR=$dir sh "$dir/probe.sh" "$(said "$c/kind")" "$(said "$c/target")" "$(said "$c/port")" "$(said "$c/status")" "$(said "$c/body")" </dev/null 8>&- 9>&-) || FOUND=broken
}

each_check() { for c in "$dir"/c/*/; do [ -d "$c" ] && c=${c%/} && echo "${c##*/}"; done; }

# before_checks: what passes before; only that is asked of an undo. An excuse needs a
# failure that was really found, and three times over three seconds, as long as there is
# time: what set_limit has for one look at each, and some of what it has to spare.
before_checks() {
    left=$(each_check)
    until=$(($(now) + 20000))
    for n in $left; do until=$((until + 10000)); done
    for round in 1 2 3; do
        failing=
        for n in $left; do
            if [ "$round" != 1 ] && { interrupted || [ "$(now)" -ge "$until" ]; }; then break; fi
            if [ "$(kept was_up)" = yes ]; then
                probe "$n"
                case $FOUND:$(said "$dir/c/$n/kind") in
                no-reply:* | unresolved:dns) before=fail ;;
                :* | broken:* | no-*:* | unresolved:*) before=none ;;
                *) before=fail ;;
                esac
                if holds "$n"; then before=pass; fi
            else
                before=none
            fi
            echo "$before" >"$dir/c/$n/before"
            if [ "$before" = fail ] && [ "$(said "$dir/c/$n/excusable")" = yes ]; then failing="$failing $n"; fi
        done
        left=$failing
        [ -n "$left" ] || break
        [ "$round" = 3 ] || sleep 1.5
    done
    if [ -n "$(p address)" ] && [ "$(kept was_up)" = yes ] && ping_once "$(p address)"; then keep answered_before yes; fi
}

# holds NN: whether what was FOUND is what the check expects.
holds() {
    case $(said "$dir/c/$1/expect"):$FOUND in
    ok:ok) return 0 ;;
    refused:refused | refused:timeout | refused:unreachable) return 0 ;;
    *) return 1 ;;
    esac
}

# checks: the hypervisor's own; those that expect a refusal when all others have
# passed, the laptop's too. Fails with WHY.
checks() {
    BEGAN=$(now)
    for n in $(each_check); do
        if [ "$(said "$dir/c/$n/expect")" = ok ]; then one_check "$n" || return 1; fi
    done
    step positive
    agreed || return 1
    BEGAN=$(now)
    for n in $(each_check); do
        if [ "$(said "$dir/c/$n/expect")" = refused ]; then one_refusal "$n" || return 1; fi
    done
}

# agreed: waits until the laptop's positive checks have passed, where there are any.
agreed() {
    if [ -z "$(p agree)" ]; then return 0; fi
    until=$(($(now) + $(milliseconds "$(p agree)")))
    until [ -e "$dir/agreed" ] || interrupted; do
        tick || return 1
        if [ "$(now)" -ge "$until" ]; then WHY=no-verdict; return 1; fi
        sleep 0.1
    done
}

# one_check NN: again and again until it holds or its time is over.
one_check() {
    until=$((BEGAN + $(milliseconds "$(said "$dir/c/$1/within")")))
    pause=0.1
    while :; do
        tick || return 1
        interrupted && return 0
        probe "$1"
        if holds "$1"; then verdict_of "$1" true null; return 0; fi
        [ "$(now)" -lt "$until" ] || break
        sleep "$pause"
        case $pause in 0.1) pause=0.3 ;; 0.3) pause=1 ;; esac
    done
    excused "$1"
}

# one_refusal NN: must hold three times over three seconds.
one_refusal() {
    for round in 1 2 3; do
        tick || return 1
        interrupted && return 0
        probe "$1"
        holds "$1" || { excused "$1"; return; }
        [ "$round" = 3 ] || sleep 1.5
    done
    verdict_of "$1" true null
}

# excused NN: a declared check that already failed before, by the same definition.
excused() {
    if [ "$(said "$dir/c/$1/excusable")" = yes ] && [ "$(said "$dir/c/$1/before")" = fail ]; then
        verdict_of "$1" false '"failing-before"'
        return 0
    fi
    if [ "$FOUND" = ok ]; then FOUND=answered; fi
    verdict_of "$1" false "\"$FOUND\""
    WHY=check-failed
    return 1
}

# verdict_of NN true|false NOTE: for the ledger and for whoever follows.
verdict_of() {
    millis=$(($(now) - BEGAN))
    # By rename: who is killed here leaves no half of it to the ledger.
    printf '%s,"ok":%s,"millis":%s,"note":%s}' "$(said "$dir/c/$1/json")" "$2" "$millis" "$3" >"$dir/result/.check-$1" &&
        [ -s "$dir/result/.check-$1" ] && mv -fT -- "$dir/result/.check-$1" "$dir/result/check-$1"
    printf 'check %s %s %s %s\n' "$1" "$2" "$millis" "$3" >>"$dir/events" || :
}

# passing_again: everything that passed before passes now.
passing_again() {
    if [ "$(kept answered_before)" = yes ]; then ping_once "$(p address)" || return 1; fi
    for n in $(each_check); do
        [ "$(said "$dir/c/$n/before" 2>/dev/null)" = pass ] || continue
        probe "$n"
        holds "$n" || return 1
    done
}
