# record.sh: generations, roots, checks, the ledger and the outcome. Nothing here
# parses or composes JSON: the laptop prepared the constant parts (l/, c/NN/json),
# and only digits and words of our own are added. Sourced by transaction.sh.
profile=$(p profile)
if [ -z "$profile" ]; then profile=$base/profiles/$vm; fi

# generation_of PATH: its number, empty when it has none. The highest, if several.
generation_of() {
    best=
    for link in "$profile"-*-link; do
        if [ "$(readlink -- "$link")" != "$1" ]; then continue; fi
        n=${link#"$profile"-} n=${n%-link}
        case $n in '' | *[!0-9]*) continue ;; esac
        if [ -z "$best" ] || [ "$n" -gt "$best" ]; then best=$n; fi
    done
    echo "$best"
}

# make_generation PATH: the profile points to it; prints its number. An existing
# number is used again, so that going back makes no new one. nix-env takes no lock
# of its own: ours is held.
make_generation() {
    mkdir -p "$base/profiles" "$dir/home" || return 1
    n=$(generation_of "$1")
    if [ -n "$n" ]; then
        HOME=$dir/home nix-env -p "$profile" --switch-generation "$n" >/dev/null 2>"$dir/result/generation" || return 1
    else
        HOME=$dir/home nix-env -p "$profile" --set "$1" >/dev/null 2>"$dir/result/generation" || return 1
        n=$(readlink -- "$profile") n=${n#"${profile##*/}"-} n=${n%-link}
    fi
    [ "$(readlink -- "$profile-$n-link")" = "$1" ] && echo "$n"
}

# keep_terms N: what a later rollback to this generation has to know, as it came.
keep_terms() {
    [ -s "$dir/p/terms" ] || return 0
    mkdir -p "$base/terms/$vm" || return 0
    new=$base/terms/$vm/.$1.$id
    if cp -- "$dir/p/terms" "$new" && sync -- "$new"; then mv -fT -- "$new" "$base/terms/$vm/$1.json"; fi
}

# repoint_profile: it follows `current`, where that has a number.
repoint_profile() {
    n=$(generation_of "$(kept current)")
    [ -z "$n" ] || [ "$(readlink -- "$profile")" = "$vm-$n-link" ] || make_generation "$(kept current)" >/dev/null
}

# drop_new_number: a commit that failed may have made one already; a number belongs
# only to what was verified.
drop_new_number() {
    n=$(generation_of "$to")
    if [ -z "$n" ] || [ -n "$(kept number_before)" ]; then return 0; fi
    # Where nothing was there before, the profile is at it still.
    if [ "$(readlink -- "$profile")" = "${profile##*/}-$n-link" ]; then rm -f -- "$profile"; fi
    rm -f -- "$profile-$n-link" "$base/terms/$vm/$n.json"
}

# adopt: what runs or is staged, and was not made by deployvm, gets a number first.
adopt() {
    for what in booted current; do
        path=$(kept "$what")
        case $path in /nix/store/*) ;; *) continue ;; esac
        [ "$path" = "$to" ] && continue
        [ -z "$(generation_of "$path")" ] || continue
        nix-store --check-validity "$path" 2>/dev/null || continue
        n=$(make_generation "$path") || continue
        # Only what runs has proved that it does.
        state=staged
        if [ "$path" = "$(kept booted)" ] && [ "$(kept was_up)" = yes ]; then state=deployed; fi
        append_line "$(p "l_adopt_$what")" "$n" "$state" null '' ''
        step adopted "$n"
    done
}

# upstream_roots: the links that `microvm` makes, so that it goes on working.
upstream_roots() {
    mkdir -p /nix/var/nix/gcroots/microvm || return 0
    ln -sfn -- "$vmdir/current" "/nix/var/nix/gcroots/microvm/$vm"
    ln -sfn -- "$vmdir/booted" "/nix/var/nix/gcroots/microvm/booted-$vm"
}

# write_flake: a new VM gets one; an existing file is never touched.
write_flake() {
    [ -n "$(p flake)" ] && [ ! -e "$vmdir/flake" ] && [ ! -L "$vmdir/flake" ] || return 0
    # Never through a link that somebody put there.
    rm -f -- "$vmdir/.flake.$id"
    (set -C && p flake >"$vmdir/.flake.$id") && chown -h microvm:kvm "$vmdir/.flake.$id" && mv -nT -- "$vmdir/.flake.$id" "$vmdir/flake"
}

# remember_running: which runner the main process is; `status` believes it only
# while process, invocation and start time all match.
remember_running() {
    look
    mkdir -p "$base/running" || return 0
    if [ "$ACTIVE" != active ] || [ "$PID" = 0 ]; then rm -f -- "$base/running/$vm"; return 0; fi
    ticks=$(sed 's/.*) //' "/proc/$PID/stat" | cut -d ' ' -f 20)
    printf '%s %s %s %s\n' "$(readlink -- "$vmdir/booted")" "$PID" "$INVOCATION" "$ticks" >"$base/running/.$vm.$id"
    mv -fT -- "$base/running/.$vm.$id" "$base/running/$vm"
}

# watch_address / stop_watching: how long nobody answered.
watch_address() {
    WATCH=
    [ -n "$(p address)" ] || return 0
    ping -n -O -i 0.1 -- "$(p address)" >"$dir/result/ping" 2>/dev/null 8>&- 9>&- &
    WATCH=$! WATCHED=yes
}
stop_watching() { [ -z "${WATCH:-}" ] || kill "$WATCH" 2>/dev/null || :; WATCH=; }

# downtime: milliseconds in the longest gap between two answers, empty if unknown.
# Counted in echo requests of 100 ms each, which no jump of the clock changes.
downtime() {
    # Nobody was there to miss, or nobody watched to the end.
    [ "$(kept answered_before)" = yes ] && [ -n "${WATCHED:-}" ] && [ -s "$dir/result/ping" ] || return 0
    awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^icmp_seq=/) { n = substr($i, 10) + 0; if (n > newest) newest = n } }
         /bytes from/ { if (seen && n - last > gap) gap = n - last; last = n; seen++ }
         END { if (seen > 1 && newest - last < 20) print (gap > 1 ? gap : 0) * 100 }' "$dir/result/ping"
}

# ping_once ADDRESS
ping_once() { ping -n -q -c 1 -W 1 -- "$1" >/dev/null 2>&1; }

# probe NN: one attempt of one check; words as probe.sh prints them, in FOUND. What one
# that is killed leaves behind goes with the transaction.
probe() {
    c=$dir/c/$1
    FOUND=$(TMPDIR=$dir sh "$dir/probe.sh" "$(said "$c/kind")" "$(said "$c/target")" "$(said "$c/port")" "$(said "$c/status")" "$(said "$c/body")" </dev/null 8>&- 9>&-) || FOUND=broken
}

each_check() { for c in "$dir"/c/*/; do [ -d "$c" ] && c=${c%/} && echo "${c##*/}"; done; }

# before_checks: what passes before; only that is asked of an undo.
before_checks() {
    for n in $(each_check); do
        if [ "$(kept was_up)" = yes ]; then
            probe "$n"
            if holds "$n"; then echo pass; else echo fail; fi
        else
            echo none
        fi >"$dir/c/$n/before"
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

# outcome RESULT EXIT NUMBER: prepared here, published when the ledger has it.
outcome() {
    mkdir -p "$dir/result"
    printf '%s\n%s\n%s\n' "$1" "$2" "$3" >"$dir/result/.outcome" && [ -s "$dir/result/.outcome" ] &&
        mv -fT -- "$dir/result/.outcome" "$dir/result/outcome"
}

# put_away: what was prepared for an undo.
put_away() {
    release
    rm -f -- "$vmdir/.back.$id" "$vmdir/.spare.$id" "$(p state_dir)"/*/".current.$id"
}

# refuse WORD: nothing was touched.
refuse() {
    put_away
    decide "undo.$1"
    outcome refused 12 ''
    publish
}

line() { sed -n "$2p" "$dir/result/$1" 2>/dev/null; }

# append_line HEAD NUMBER RESULT REASON CHECKS CONSOLE: one line, under the ledger's
# lock, never glued to a torn one.
append_line() {
    [ -n "$1" ] || return 0
    # No VM's lock: no name begins with a dot.
    { true >>/run/deployvm/.ledger.lock; } 2>/dev/null || return 1
    exec 6>/run/deployvm/.ledger.lock
    flock -w 30 6 || { exec 6>&-; return 1; }
    file=$base/ledger.jsonl
    if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then echo >>"$file"; fi
    printf '%s,"time":"%s","generation":%s,"result":"%s","reason":%s,"durations":{%s},"checks":[%s],"console_base64":"%s"}\n' \
        "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${2:-null}" "$3" "${4:-null}" "$(durations)" "$5" "$6" >>"$file"
    appended=$?
    sync -- "$file"
    exec 6>&-
    return $appended
}

durations() {
    d=$(downtime)
    if [ -n "$d" ]; then printf '"downtime":%s,' "$d"; fi
    # The clock begins anew with every boot.
    if [ "$(kept boot)" = "$(boot_id)" ]; then printf '"total":%s' $(($(now) - $(kept began))); else printf '"total":null'; fi
}

# ledger: this transaction's line, once.
ledger() {
    # A line that a full disk tore off does not count.
    if tail -c 67108864 -- "$base/ledger.jsonl" 2>/dev/null | grep -q "^{\"id\":\"$id\",.*}\$"; then return 0; fi
    result=$(line outcome 1) number=$(line outcome 3)
    case $result in
    deployed | staged | unchanged | "done") why=null ;;
    *) why="\"$(reason)\"" ;;
    esac
    list=
    for f in "$dir"/result/check-*; do
        [ -s "$f" ] || continue
        list="${list:+$list,}$(cat "$f")"
    done
    if [ -s "$dir/verdict.checks" ]; then list="${list:+$list,}$(cat "$dir/verdict.checks")"; fi
    text=
    if [ -s "$dir/console" ]; then text=$(base64 -w 0 <"$dir/console"); fi
    append_line "$(p l_head)" "$number" "$result" "$why" "$list" "$text"
}

# publish: the outcome becomes visible, last of all; then the traces go.
publish() {
    {
        printf '%s\n%s\n%s\n%s\n%s\n%s\n' "$(line outcome 1)" "$(line outcome 2)" "$(line outcome 3)" \
            "$(carried_out)" "$(downtime)" "$(kept shutdown)" >"$dir/.outcome" &&
            [ -s "$dir/.outcome" ] && sync -- "$dir/.outcome" && mv -f "$dir/.outcome" "$dir/outcome"
    } || return 1
    sync -- "$dir"
    step closed
    clear_away
}

# clear_away: the traces of a transaction that has an outcome. Whoever finds one does it
# again: its process may have been killed just before.
clear_away() {
    unroot to
    unroot from
    unroot pending
    # Who never had the lock did not begin; and by now it may be somebody else's.
    if [ -n "$(kept began)" ] && [ "$(said "/run/deployvm/$vm.holder")" = "$(p holder)" ]; then rm -f -- "/run/deployvm/$vm.holder"; fi
    rm -rf -- "${dir:?}/home"
    rm -f -- "/run/deployvm/hold-$id"
    disarm
    forget_ended
}

# forget_ended: all but the newest fifty transactions, as far as they have ended; of those
# of whose end nobody has heard, all but the newest five hundred. At most twenty at a time,
# so that nobody waits for it. Each gets another name first: half of one would look like
# one that has not ended.
forget_ended() {
    rm -rf -- "${base:?}"/transactions/.gone-*
    known=0 forgotten=0
    # shellcheck disable=SC2012 # names are ids, [a-z0-9-] only
    ls -1r "$base/transactions" 2>/dev/null | while IFS= read -r ended_id; do
        known=$((known + 1))
        ended=$base/transactions/$ended_id
        if [ $known -le 50 ] || [ "$ended_id" = "$id" ] || [ ! -e "$ended/outcome" ]; then continue; fi
        if [ ! -e "$ended/heard" ] && [ $known -le 500 ]; then continue; fi
        mv -T -- "$ended" "$base/transactions/.gone-$ended_id" && rm -rf -- "$base/transactions/.gone-${ended_id:?}"
        forgotten=$((forgotten + 1))
        if [ $forgotten -ge 20 ]; then break; fi
    done
}
