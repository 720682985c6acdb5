# attach.sh: offers the terminal that it was started on to the transaction in whose
# directory it lies (foreground.sh), and holds it until that says that it is over.
# Whatever is typed is read by the VM, not here.
# exit code: 0 it is over, or the terminal is gone; 75 there is no terminal, or it was
#            offered before
set -u
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 077
dir=$(CDPATH='' cd -- "${0%/*}" && pwd) || exit 70
exec 7>>"$dir/terminal"
flock -n 7 || exit 75
name=$(tty) || exit 75
trap 'exit 0' HUP TERM
# Only where the VM left the terminal as it was: then Ctrl-C is for us.
trap ': >"$dir/detach"' INT QUIT
printf '%s' "$name" >"$dir/.tty" && mv -f "$dir/.tty" "$dir/tty" || exit 75
until [ -e "$dir/detached" ] || [ -e "$dir/outcome" ]; do
    sleep 0.2 7>&-
    # One that was hung up is none any more.
    [ -t 0 ] || exit 0
done
exit 0
