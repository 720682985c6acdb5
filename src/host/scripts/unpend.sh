# unpend.sh ID [TRANSACTION]...: the end of a command: drops the pending roots of the
# push ID (empty for none), and marks switches whose ends its user has heard of.
# exit code field: 0
if [ -n "$1" ]; then
    find /nix/var/nix/gcroots/deployvm -maxdepth 1 -name "$1-pending-*" -delete 2>/dev/null
fi
shift
for id; do
    if [ -e "/var/lib/deployvm/transactions/$id/outcome" ]; then
        true >"/var/lib/deployvm/transactions/$id/heard"
    fi
done
finish 0
