# begin.sh ID VM VERB [FILE CONTENT]...: writes a transaction's directory, starts it as
# a transient unit and follows it to its outcome.
# stdout: events, one a line, then the fields of follow.sh
# exit code field: 0 followed to the outcome, 73 the directory cannot be written, 74 the
#            unit cannot be started (nothing was touched in both cases)
# shellcheck disable=SC2174 # the parents exist on every system
id=$1 vm=$2 verb=$3
shift 3
base=/var/lib/deployvm
dir=$base/transactions/$id
{
    mkdir -p -m 0755 "$base" && mkdir -p -m 0700 "$base/transactions" && mkdir -p -m 0700 /run/deployvm &&
        (umask 077 && mkdir "$dir")
} 2>&1 || finish 73
umask 077
mkdir "$dir/p" "$dir/c"
while [ $# -ge 2 ]; do
    case $1 in c/*) mkdir -p "$dir/${1%/*}" ;; esac
    printf '%s' "$2" >"$dir/$1" || { rm -rf "$dir"; finish 73; }
    shift 2
done
: >"$dir/events"
find "$dir" -type f -exec sync {} + && sync "$dir" "$base/transactions"
umask 022
systemd-run --quiet --collect --unit="deployvm-$verb-$vm-$id" \
    --property=ExecStopPost="/bin/sh $dir/transaction.sh stopped" --property=TimeoutStopSec=600 \
    --property=SendSIGHUP=no /bin/sh "$dir/transaction.sh" run 2>&1 || { rm -rf "$dir"; finish 74; }
