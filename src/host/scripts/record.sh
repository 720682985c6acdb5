# record.sh: how a transaction ends: its outcome, the ledger's line, and what goes away
# then. Nothing here parses or composes JSON: the laptop prepared the constant parts (l/,
# c/NN/json), and only digits and words of our own are added. Sourced by transaction.sh.

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
# lock, never glued to a torn one. Other VMs wait for that lock: it is held for the line
# alone.
append_line() {
    [ -n "$1" ] || return 0
    append_time=$(date -u +%Y-%m-%dT%H:%M:%SZ) append_durations=$(durations)
    # No VM's lock: no name begins with a dot.
    { true >>/run/deployvm/.ledger.lock; } 2>/dev/null || return 1
    exec 6>/run/deployvm/.ledger.lock
    flock -w 30 6 || { exec 6>&-; return 1; }
    file=$base/ledger.jsonl
    if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then echo >>"$file"; fi
    printf '%s,"time":"%s","generation":%s,"result":"%s","reason":%s,"durations":{%s},"checks":[%s],"console_base64":"%s"}\n' \
        "$1" "$append_time" "${2:-null}" "$3" "${4:-null}" "$append_durations" "$5" "$6" >>"$file"
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
    if tail -c 67108864 -- "$base/ledger.jsonl" 2>/dev/null | grep -q "^{\"id\":\"$id\",.*\"console_base64\":\"[^\"]*\"}\$"; then return 0; fi
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
