# follow.sh (behind begin.sh, or alone as: follow.sh ID): prints a transaction's events
# as they come, until it has an outcome.
# stdout: events, one a line; a line with a dot; then fields: outcome, console (at most
#         30 lines), results of the hypervisor's checks (JSON objects, one a field)
# exit code field: 0, or 66 when there is no such transaction
if [ -z "${id:-}" ]; then id=$1; fi
dir=/var/lib/deployvm/transactions/$id
[ -e "$dir/events" ] || finish 66
exec 3<"$dir/events"
while :; do
    last=
    if [ -e "$dir/outcome" ]; then last=yes; fi
    while IFS= read -r event <&3; do printf '%s\n' "$event"; done
    [ -z "$last" ] || break
    sleep 0.05
done
printf '.\n'
field "$(cat "$dir/outcome")"
field "$(tail -n 30 "$dir/console" 2>/dev/null)"
for f in "$dir"/result/check-*; do
    if [ -e "$f" ]; then field "$(cat "$f")"; fi
done
finish 0
