# beat.sh ID NUMBER: the laptop lives, and so does the line to it; or, with `gone` for a
# number, that it lends no terminal any more.
# exit code field: 0, or 66 when there is no such transaction
dir=/var/lib/deployvm/transactions/$1
[ -d "$dir" ] || finish 66
umask 077
if [ "$2" = gone ]; then
    true >"$dir/detach"
    finish 0
fi
printf '%s' "$2" >"$dir/.beat" && mv -f "$dir/.beat" "$dir/beat"
finish 0
