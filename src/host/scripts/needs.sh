# needs.sh [KIND PROGRAM]...: whether a check of this kind could run on this machine.
# PROGRAM is the one that `exec` would start.
# stdout: a field for each: the program that is missing, empty when none is
# exit code field: 0
have() { command -v "$1" >/dev/null 2>&1; }
# lacks: the program that is missing.
lacks() {
    case $1 in
    http) have curl || echo curl ;;
    tcp) have bash || have curl || echo curl ;;
    ping) have ping || echo ping ;;
    dns) have getent || have dscacheutil || echo getent ;;
    exec) have "$2" || printf '%s\n' "$2" ;;
    esac
}
while [ $# -ge 2 ]; do
    field "$(lacks "$1" "$2")"
    shift 2
done
finish 0
