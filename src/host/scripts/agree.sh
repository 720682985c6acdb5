# agree.sh ID: the laptop's positive checks of a VM on trial have passed, so that the
# transaction may try what must be refused.
# exit code field: 0, 66 when there is no such transaction, 73 when there is no room to say so
dir=/var/lib/deployvm/transactions/$1
[ -d "$dir" ] || finish 66
true >"$dir/agreed" || finish 73
finish 0
