# ledger.sh BYTES [VM]...: the end of the ledger, at most BYTES of it; with names, only
# the lines about these VMs, looked for in its last 64 MiB.
# stdout: two fields: how many bytes of such lines there are (those of the whole ledger
#         where not all of it was looked at), and their end. The first line of it may be
#         torn.
# exit code field: 0
most=$1
shift
file=/var/lib/deployvm/ledger.jsonl window=67108864
# Head writes this pair exactly so; a name has no character that JSON escapes.
names=$(for vm; do printf '"vm":"%s"\n' "$vm"; done)
all=$(stat -c %s -- "$file" 2>/dev/null) || all=0
# about: the lines that are asked for.
about() { tail -c $window -- "$file" 2>/dev/null | grep -a -F -e "$names"; }
if [ -z "$names" ]; then
    field "$all"
    tail -c "$most" -- "$file" 2>/dev/null | tr -d '\000'
else
    if [ "$all" -gt $window ]; then field "$all"; else field "$(about | wc -c)"; fi
    about | tail -c "$most" | tr -d '\000'
fi
printf '\000'
finish 0
