# recall.sh [VM N PATH]...: what is known here of generations that somebody wants to go
# back to.
# stdout: four fields for each: its terms, the newest terms of that VM (both JSON, empty
#         where there are none), taps of the runner (one a line), and yes when the path
#         is valid
# exit code field: 0
base=/var/lib/deployvm
# start_of FILE: not all of what is too long, and not for ever: a runner may have a link
# to anything in it.
start_of() { timeout 5 head -c 1048576 -- "$1" 2>/dev/null | tr -d '\000'; }
# newest VM: the terms with the highest number.
newest() {
    best=
    for file in "$base/terms/$1"/*.json; do
        n=${file##*/} n=${n%.json}
        case $n in '' | *[!0-9]*) continue ;; esac
        if [ -z "$best" ] || [ "$n" -gt "$best" ]; then best=$n; fi
    done
    if [ -n "$best" ]; then start_of "$base/terms/$1/$best.json"; fi
}
while [ $# -ge 3 ]; do
    field "$(start_of "$base/terms/$1/$2.json")"
    field "$(newest "$1" 2>/dev/null)"
    field "$(start_of "$3/share/microvm/tap-interfaces")"
    if nix-store --check-validity "$3" 2>/dev/null; then field yes; else field ''; fi
    shift 3
done
finish 0
