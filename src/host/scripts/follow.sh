# follow.sh (behind begin.sh, or alone as: follow.sh ID): prints a transaction's events
# as they come, until it has an outcome.
# stdout: events, and `beat` now and then, one a line; a line with a dot; then fields:
#         outcome, console (at most 30 lines), results of the hypervisor's checks (JSON
#         objects, one a field)
# exit code field: 0, or 66 when there is no such transaction
if [ -z "${id:-}" ]; then id=$1; fi
dir=/var/lib/deployvm/transactions/$id
if [ ! -e "$dir/events" ]; then
    # It may have ended long ago, and be forgotten but for its line in the ledger.
    if tail -c 67108864 /var/lib/deployvm/ledger.jsonl 2>/dev/null | grep -q "^{\"id\":\"$id\","; then finish 66; fi
    # It was never begun, and shall not begin any more: whoever still tries finds this.
    (umask 077 && mkdir "$dir" && true >"$dir/events" && printf 'refused\n12\n\nundo.never-begun\n\n\n' >"$dir/outcome") ||
        finish 66
fi
exec 3<"$dir/events"
idle=0 rounds=0
while :; do
    last=
    if [ -e "$dir/outcome" ]; then last=yes; fi
    while IFS= read -r event <&3; do printf '%s\n' "$event"; done
    [ -z "$last" ] || break
    [ -d "$dir" ] || finish 66
    # Nobody works on it, not even its guard, as after a reboot: it is ended here.
    rounds=$((rounds + 1))
    # Whoever follows does not believe in a silence of a minute and a half.
    if [ $((rounds % 100)) = 0 ]; then echo beat; fi
    if [ $((rounds % 20)) = 0 ]; then
        if [ -f "$dir/transaction.sh" ] && flock -n "$dir/alive" true 2>/dev/null; then idle=$((idle + 1)); else idle=0; fi
        if [ $idle -ge 5 ]; then
            idle=0
            sh "$dir/transaction.sh" close >/dev/null 2>&1 </dev/null
        fi
    fi
    sleep 0.1
done
printf '.\n'
field "$(cat "$dir/outcome")"
field "$(tail -n 30 "$dir/console" 2>/dev/null)"
for f in "$dir"/result/check-*; do
    if [ -s "$f" ]; then field "$(cat "$f")"; fi
done
finish 0
