# pin.sh VM N pin|unpin: keeps a generation from prune, or lets it go.
# stdout: one field: yes when it was pinned before
# exit code field: 0, 66 when there is no such generation, 73 when it cannot be
#         written, 75 when somebody else works on this VM
# shellcheck disable=SC2174 # the parents exist on every system
vm=$1 n=$2 base=/var/lib/deployvm
mkdir -p -m 0700 /run/deployvm || finish 73
exec 9>"/run/deployvm/$vm.lock"
flock -w 5 9 || finish 75
pin=$base/pins/$vm/$n
before=
if [ -e "$pin" ]; then before=yes; fi
field "$before"
if [ "$3" = unpin ]; then
    rm -f -- "$pin" || finish 73
    rmdir -- "$base/pins/$vm" 2>/dev/null
    finish 0
fi
[ -L "$base/profiles/$vm-$n-link" ] || finish 66
if ! { mkdir -p "$base/pins/$vm" && true >"$pin" && sync -- "$pin" "$base/pins/$vm"; }; then finish 73; fi
finish 0
