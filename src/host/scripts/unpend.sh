# unpend.sh ID: drops the pending roots of one push.
# exit code field: 0
find /nix/var/nix/gcroots/deployvm -maxdepth 1 -name "$1-pending-*" -delete 2>/dev/null
finish 0
