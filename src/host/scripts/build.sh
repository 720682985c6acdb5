# build.sh ID WORD...: runs `nix-store WORD...` in the transient unit deployvm-build-ID,
# which is stopped as soon as nobody listens any more.
# stdout: lines, as Nix writes them to stderr, and `beat` every second; a line with a
#         dot; no fields
# exit code field: that of xargs (0 built, 123 not), 73 when the words cannot be written
# shellcheck disable=SC2174 # the parents exist on every system
id=$1
shift
unit=deployvm-build-$id.service
words=/run/deployvm/build-$id
# Ends the line that the mark before it began.
printf 'beat\n'
# By a file, because systemd-run expands `$` in arguments.
{ mkdir -p -m 0700 /run/deployvm && (umask 077 && printf '%s\000' "$@" >"$words"); } 2>&1 || finish 73

# A unit inherits nothing of what a login brings along for proxies, certificates and
# remote builders.
set --
for name in PATH HOME NIX_REMOTE NIX_SSL_CERT_FILE SSL_CERT_FILE SSH_AUTH_SOCK \
    http_proxy https_proxy ftp_proxy all_proxy no_proxy; do
    if [ -n "$(printenv "$name")" ]; then set -- "$@" "--setenv=$name"; fi
done

# When ssh's channel is closed, sshd tells nobody: only writing shows it. In a loop,
# because the unit may not have begun the first time.
trap '' PIPE
abandoned() {
    systemctl stop -- "$unit" 2>/dev/null
    find /nix/var/nix/gcroots/deployvm -maxdepth 1 -name "$id-pending-*" -delete 2>/dev/null
}
while sleep 1 >/dev/null 2>&1; do
    printf 'beat\n' 2>/dev/null || abandoned
done &
watcher=$!

# The one line that means something else here is left out: a lone dot.
{
    systemd-run --quiet --collect --wait --pipe --unit="$unit" "$@" \
        --property=TimeoutStopSec=10 --property=OOMPolicy=continue \
        "$(command -v xargs)" -0 -x -n 4000 -a "$words" "$(command -v nix-store)" 2>&1 >/dev/null
    printf '%s' $? >"$words.code"
} </dev/null | grep --line-buffered -a -v '^\.$'
kill "$watcher" 2>/dev/null
code=$(cat "$words.code" 2>/dev/null)
rm -f "$words" "$words.code"
# The build may have ended because nobody listens, before the watcher saw it.
printf '.\n' 2>/dev/null || abandoned
finish "${code:-1}"
