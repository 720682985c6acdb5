# abandon.sh ID: stops the build of that id and drops its pending roots.
# exit code field: 0
systemctl stop -- "deployvm-build-$1.service" 2>/dev/null
find /nix/var/nix/gcroots/deployvm -maxdepth 1 -name "$1-pending-*" -delete 2>/dev/null
finish 0
