# agree.sh ID: the laptop's positive checks of a VM on trial have passed, so that the
# transaction may try what must be refused.
# exit code field: 0, or 66 when there is no such transaction
dir=/var/lib/deployvm/transactions/$1
[ -d "$dir" ] || finish 66
: >"$dir/agreed"
finish 0
