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
new=$base/transactions/.new-$id
{
    mkdir -p -m 0755 "$base" && mkdir -p -m 0700 "$base/transactions" && mkdir -p -m 0700 /run/deployvm &&
        (umask 077 && mkdir "$new")
} 2>&1 || finish 73
umask 077
# Nobody sees it before it is whole and on the disk.
written() {
    mkdir "$new/p" "$new/c" || return 1
    while [ $# -ge 2 ]; do
        case $1 in c/*) mkdir -p "$new/${1%/*}" || return 1 ;; esac
        printf '%s' "$2" >"$new/$1" || return 1
        shift 2
    done
    true >"$new/events" && true >"$new/alive" && find "$new" -exec sync {} + || return 1
    # Until systemd has said that it runs, it is ours: nobody else ends it, and when it
    # could not be started after all, it finds that it was refused.
    exec 8>"$new/alive"
    flock -n 8 && mv -nT "$new" "$dir" && [ ! -e "$new" ] && sync "$base/transactions"
}
if ! written "$@" 2>&1; then
    rm -rf "$new"
    finish 73
fi
umask 022
# started: its unit runs. Systemd does not answer while it re-executes itself, so it is
# asked again, and whether it had understood after all.
started() {
    for started_round in 1 2 3 4 5 6 7 8 9 10; do
        started_said=$(systemd-run --quiet --collect --unit="deployvm-$verb-$vm-$id" \
            --property=ExecStopPost="/bin/sh $dir/transaction.sh stopped" --property=TimeoutStopSec=900 \
            --property=SendSIGHUP=no /bin/sh "$dir/transaction.sh" run 8>&- 2>&1) && return 0
        systemctl is-active --quiet "deployvm-$verb-$vm-$id" 8>&- 2>/dev/null && return 0
        if [ "$started_round" -lt 10 ]; then sleep 0.5 8>&-; fi
    done
    printf '%s\n' "$started_said"
    return 1
}
if ! started; then
    printf 'refused\n12\n\nundo.not-started\n\n\n' >"$dir/outcome"
    finish 74
fi
exec 8>&-
