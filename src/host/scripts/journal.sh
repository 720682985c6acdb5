# journal.sh MODE CURSOR SINCE UNTIL PATTERN LINES EXTRA MATCH...: the journal of what
# matches, oldest first. Values may be empty, and then are not asked for.
# With CURSOR, beginning with that entry itself: --after-cursor would cost a line where it
# is gone.
# MODE `read`: what is there, of what matches EXTRA as well; with LINES the last of these.
# MODE `follow`: what this boot has, and then what comes, until nobody listens any more.
# stdout: `beat`; entries as JSON, one a line; a line with a dot; two fields: the cursor
#         of the last entry that matched before anything was read, and what journalctl
#         complained about, with its exit code as the last line unless that is 0
# exit code field: 0
mode=$1 cursor=$2 since=$3 until=$4 pattern=$5 lines=$6 extra=$7
shift 7
# Ends the line that the mark before it began.
printf 'beat\n'
last=
if [ "$mode" = read ]; then
    last=$(journalctl -q --no-pager -n 1 -o export --output-fields=_PID "$@" 2>/dev/null |
        sed -n 's/^__CURSOR=//p')
fi
# --all: messages of any length.
set -- -q --no-pager -o json --all "$@" \
    --output-fields=MESSAGE,_PID,_SYSTEMD_UNIT,UNIT,OBJECT_SYSTEMD_UNIT,COREDUMP_UNIT
if [ -n "$extra" ]; then set -- "$@" "$extra"; fi
if [ -n "$cursor" ]; then set -- "$@" "--cursor=$cursor"; fi
if [ -n "$since" ]; then set -- "$@" "--since=$since"; fi
if [ -n "$until" ]; then set -- "$@" "--until=$until"; fi
if [ -n "$pattern" ]; then set -- "$@" "--grep=$pattern"; fi
# To the real stdout (3) by the shortest way, so that journalctl sees when nobody listens
# any more; what it says on stderr, and its exit code (4) where it is not 0, are kept.
{
    said=$({
        case $mode$lines in
        # -f implies -b, and `-b all` does not help (systemd 252).
        follow*) journalctl "$@" -f --no-tail >&3 3>&- 4>&- ;;
        read) journalctl "$@" >&3 3>&- 4>&- ;;
        read0) : ;;
        # With a pattern, -n alone would turn the order round, and without one would not.
        *) { journalctl "$@" -r -n "$lines" 3>&- 4>&- || printf '\n%s' $? >&4; } | tac >&3 ;;
        esac || printf '\n%s' $? >&4
    } 4>&1 2>&1)
} 3>&1
printf '.\n'
field "$last"
field "$said"
finish 0
