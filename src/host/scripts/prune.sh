# prune.sh (behind retention.sh) list KEEP [VM]...: what may go of these VMs.
# stdout: a field for each VM, its numbers, the newest first, or `busy`; then two fields:
#         how many bytes nothing else holds, and how many store paths these are; both
#         empty where that cannot be told
# prune.sh (behind retention.sh) drop KEEP [VM NUMBERS]...: drops those of these numbers
# that may still go.
# stdout: a field for each VM, the numbers that were dropped, or `busy`
# exit code field: 0, or 73 when something could not be dropped
# shellcheck disable=SC2174 # the parents exist on every system
verb=$1 keep=$2
shift 2
mkdir -p -m 0700 /run/deployvm || finish 73

# requisites: of the store paths on stdin; nothing, and failure, if one is not there.
requisites() { xargs -r nix-store -q --requisites 2>/dev/null | sort -u; }
# freed FILE: bytes and number of paths that only the links in that file hold.
freed() {
    [ -s "$1" ] || { printf '0\n0\n'; return; }
    nix-store --gc --print-roots >"$1.roots" 2>/dev/null || return 1
    # A link or a process, an arrow, and the path that it holds.
    awk -v links="$1" 'BEGIN { while ((getline line < links) > 0) ours[line] = 1 }
        { at = index($0, " -> /nix/store/"); if (at && !(substr($0, 1, at - 1) in ours)) print substr($0, at + 4) }' \
        "$1.roots" | sort -u >"$1.others"
    while IFS= read -r link; do readlink -- "$link"; done <"$1" | grep '^/nix/store/' | sort -u >"$1.targets"
    xargs -r nix-store --check-validity --print-invalid <"$1.targets" 2>/dev/null | sort -u >"$1.gone"
    comm -23 "$1.targets" "$1.gone" | requisites >"$1.all"
    requisites <"$1.others" >"$1.kept"
    [ ! -s "$1.others" ] || [ -s "$1.kept" ] || return 1
    comm -23 "$1.all" "$1.kept" >"$1.freed"
    xargs -r nix-store -q --size <"$1.freed" | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
    wc -l <"$1.freed"
}

case $verb in
list)
    work=$(mktemp -d /run/deployvm/.prune.XXXXXX) || finish 73
    true >"$work/links"
    for vm; do
        (hold "$vm") || { field busy; continue; }
        numbers=$(old "$vm" | tr '\n' ' ')
        field "${numbers% }"
        for n in $numbers; do echo "$base/profiles/$vm-$n-link"; done >>"$work/links"
    done
    said=$(freed "$work/links") || said=
    rm -rf -- "$work"
    field "${said%%
*}"
    field "${said##*
}"
    ;;
drop)
    code=0
    while [ $# -ge 2 ]; do
        # In a shell of its own, because the lock is held until it ends.
        dropped=$(
            hold "$1" || { echo busy; exit 0; }
            for n in $(old "$1"); do
                case " $2 " in *" $n "*) ;; *) continue ;; esac
                forget "$1" "$n" || exit 1
                printf '%s ' "$n"
            done
        ) || code=73
        field "${dropped% }"
        shift 2
    done
    finish $code
    ;;
esac
finish 0
