# ledger.sh BYTES [VM]...: the end of the ledger, at most BYTES of it; with names, only
# the lines about these VMs.
# stdout: two fields: how many bytes of such lines there are, and their end. The first
#         line of it may be torn.
# exit code field: 0
most=$1
shift
file=/var/lib/deployvm/ledger.jsonl
lines() {
    if [ ! -e "$file" ]; then return; fi
    if [ -z "$names" ]; then tail -c "$1" -- "$file"; else grep -F -e "$names" -- "$file" | tail -c "$1"; fi
}
# Head writes this pair exactly so; a name has no character that JSON escapes.
names=$(for vm; do printf '"vm":"%s"\n' "$vm"; done)
if [ -z "$names" ]; then
    field "$(stat -c %s -- "$file" 2>/dev/null || echo 0)"
else
    field "$(grep -F -e "$names" -- "$file" 2>/dev/null | wc -c)"
fi
lines "$most" | tr -d '\000'
printf '\000'
finish 0
