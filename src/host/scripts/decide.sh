# decide.sh ID VERDICT CHECKS: hands in a verdict, such as commit.laptop. Who decides
# first wins. CHECKS are the laptop's results for the ledger, JSON objects with commas.
# stdout: one field, the verdict that holds
# exit code field: 0, or 66 when there is no such transaction
dir=/var/lib/deployvm/transactions/$1
[ -d "$dir" ] || finish 66
if [ ! -e "$dir/verdict.checks" ]; then
    (umask 077 && printf '%s' "$3" >"$dir/.verdict.$$" && mv -n "$dir/.verdict.$$" "$dir/verdict.checks")
fi
ln -sT -- "$2" "$dir/decided" 2>/dev/null
field "$(readlink "$dir/decided")"
finish 0
