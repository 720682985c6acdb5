# recall.sh [VM N PATH]...: what is known here of generations that somebody wants to go
# back to.
# stdout: four fields for each: its terms, the newest terms of that VM (both JSON, empty
#         where there are none), taps of the runner (one a line), and yes when the path
#         is valid
# exit code field: 0
base=/var/lib/deployvm
# newest VM: the terms with the highest number.
newest() {
    best=
    for file in "$base/terms/$1"/*.json; do
        n=${file##*/} n=${n%.json}
        case $n in '' | *[!0-9]*) continue ;; esac
        if [ -z "$best" ] || [ "$n" -gt "$best" ]; then best=$n; fi
    done
    if [ -n "$best" ]; then cat "$base/terms/$1/$best.json"; fi
}
while [ $# -ge 3 ]; do
    field "$(cat "$base/terms/$1/$2.json" 2>/dev/null)"
    field "$(newest "$1" 2>/dev/null)"
    field "$(cat "$3/share/microvm/tap-interfaces" 2>/dev/null)"
    if nix-store --check-validity "$3" 2>/dev/null; then field yes; else field ''; fi
    shift 3
done
finish 0
