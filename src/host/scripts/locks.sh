# locks.sh VM...: who works on these VMs now.
# stdout: a field for each: who holds it, since when, for what; empty when nobody does
# exit code field: 0
base=/var/lib/deployvm
# A shared lock, so that those who only look are not taken for holders by each other.
is_held() { [ -e "$1" ] && ! flock -s -n "$1" true 2>/dev/null; }
holder() {
    if is_held "/run/deployvm/$1.lock"; then
        said=$(head -c 500 "/run/deployvm/$1.holder" 2>/dev/null)
        echo "${said:-somebody}"
        return
    fi
    for dir in "$base"/transactions/*/; do
        if [ -e "$dir/outcome" ] || [ "$(cat "$dir/p/vm" 2>/dev/null)" != "$1" ]; then continue; fi
        if is_held "$dir/alive"; then head -c 500 "$dir/p/holder" 2>/dev/null; return; fi
    done
}
for vm; do field "$(holder "$vm")"; done
finish 0
