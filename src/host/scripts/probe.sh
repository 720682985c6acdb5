# probe.sh KIND TARGET PORT STATUS BODY: asks one question once, from this machine.
# KIND is http, tcp, ping, dns or exec; for exec TARGET is the program and its
# arguments, one a line, and a line with a dot. BODY is a POSIX extended regular
# expression.
# stdout: one word.
#         ok
#         refused, timeout, unreachable: it was asked, and nothing let us in; only
#             these satisfy `expect = "refused"`, so doubt is never called by their names
#         wrong-status-NNN (that of the answer), wrong-body, no-reply, bad-reply
#             (connected, but then nothing or no HTTP or TLS), nonzero-N (the exit code):
#             it was asked, and answered otherwise
#         unresolved, no-PROGRAM, broken: it could not be asked
# exit code: 0
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}
LC_ALL=C
export PATH LC_ALL
kind=$1 target=$2 port=$3 status=$4 body=$5

say() { echo "$1"; exit 0; }
have() { command -v "$1" >/dev/null 2>&1; }
need() { have "$1" || say "no-$1"; }
zero() { case $1 in '' | 0 | 0.000000) return 0 ;; *) return 1 ;; esac }

# limit SECONDS CMD...: 124 when it took longer.
limit() {
    # macOS has no timeout, but perl.
    if have timeout; then timeout "$@"; else perl -e 'alarm shift; exec @ARGV; exit 127' "$@"; fi
    rc=$?
    # Ended by SIGALRM, or by the SIGTERM of busybox's timeout.
    case $rc in 142 | 143) return 124 ;; *) return $rc ;; esac
}

# resolves NAME: 0 it does, 124 nobody said so in time, 127 nobody can be asked.
resolves() {
    if have getent; then limit 5 getent ahosts "$1" >/dev/null 2>&1
    elif have dscacheutil; then [ -n "$(limit 5 dscacheutil -q host -a name "$1" 2>/dev/null)" ]
    else return 127; fi
}

# is_name HOST: whether it is a name rather than an address.
is_name() { case $1 in *:*) return 1 ;; *[!0-9.]*) return 0 ;; *) return 1 ;; esac }

# word CURLCODE ERROR LOOKUP CONNECT: how curl fared, from its exit code, its message
# and the seconds that it counted. Where there was a connection, only a reset is as
# good as none.
word() {
    case $1:$2 in
    0:*) say ok ;;
    5:* | 6:*) say unresolved ;;
    7:* | *"reset by peer"*) say refused ;;
    28:*) if zero "$3"; then say unresolved; elif zero "$4"; then say timeout; else say no-reply; fi ;;
    52:* | 55:* | 56:*) say no-reply ;;
    1:* | 2:* | 3:* | 4:* | 23:* | 26:* | 27:* | 43:* | 126:* | 127:*) if zero "$4"; then say broken; fi ;;
    esac
    say bad-reply
}

# knock HOST:PORT: a connection and nothing else; sets RC and the words that `word` takes.
knock() {
    said=$(curl -q -s -o /dev/null --noproxy '*' --connect-timeout 2 --max-time 2 \
        -w '%{time_namelookup} %{time_connect}' -- "telnet://$1" 2>/dev/null </dev/null)
    RC=$? LOOKUP=${said% *} CONNECT=${said#* }
}

# place URL: host and port of an https one.
place() {
    rest=${1#*://}
    rest=${rest%%[/?#]*}
    rest=${rest##*@}
    # Colons inside brackets are those of an address.
    case ${rest#*]} in *:*) echo "$rest" ;; *) echo "$rest:443" ;; esac
}

case $kind in
http)
    need curl
    work=$(mktemp -d) || say broken
    trap 'rm -rf "$work"' EXIT
    # Only a page that says how long it is can be too long for curl itself.
    trap '' XFSZ
    ulimit -f 8192
    # -q first: no curlrc; --noproxy: ask the guest itself; only http and https.
    said=$(curl -q -s -S -o "$work/page" --noproxy '*' --proto =http,https --connect-timeout 2 --max-time 5 \
        --max-filesize 4194304 -w '%{http_code} %{time_namelookup} %{time_connect}' -- "$target" 2>"$work/error")
    RC=$? code=${said%% *} LOOKUP=${said#* } CONNECT=${said##* } LOOKUP=${LOOKUP% *}
    # Who breaks off in the middle of an answer has answered.
    case $RC:$code in
    0:* | *:[1-5]??)
        if [ -n "$status" ]; then wanted=$status; else wanted='2??'; fi
        # shellcheck disable=SC2254 # a pattern on purpose: digits and question marks only
        case $code in $wanted) ;; *) say "wrong-status-$code" ;; esac
        [ $RC = 0 ] || say bad-reply
        ;;
    28:*)
        # Of https, curl counts a connection only when TLS is there, too.
        case $target in https://*) if zero "$CONNECT"; then knock "$(place "$target")"; fi ;; esac
        # Doubt is no refusal: it may be a curl that cannot knock.
        case $RC in 7 | 28) word $RC '' "$LOOKUP" "$CONNECT" ;; *) say no-reply ;; esac
        ;;
    *) word $RC "$(cat "$work/error")" "$LOOKUP" "$CONNECT" ;;
    esac
    if [ -n "$body" ] && ! grep -qE -e "$body" "$work/page"; then say wrong-body; fi
    say ok
    ;;
tcp)
    # A resolver that is silent must not look like a port that is.
    if is_name "$target"; then
        resolves "$target"
        case $? in 0 | 127) ;; *) say unresolved ;; esac
    fi
    # bash can connect and leave at once. Without it: curl has a time for the
    # connection when there was one, whatever came afterwards.
    if have bash; then
        # shellcheck disable=SC2016 # expanded by that bash
        said=$(limit 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$target" "$port" 2>&1 </dev/null)
        case $?:$said in
        0:*) say ok ;;
        124:*) say timeout ;;
        *"ot known"* | *"name resolution"*) say unresolved ;;
        esac
        # Only the error itself: the rest has the name of the host.
        case ${said##*: } in
        *refused* | *reset*) say refused ;;
        *"timed out"*) say timeout ;;
        *nreachable* | *"No route"* | *rohibited* | *"ermission denied"* | *"ost is down"*) say unreachable ;;
        esac
        say broken
    fi
    need curl
    case $target in *:*) host="[$target]" ;; *) host=$target ;; esac
    knock "$host:$port"
    zero "$CONNECT" || say ok
    word $RC '' "$LOOKUP" 0
    ;;
ping)
    need ping
    # -W is in milliseconds on macOS, -t a timeout there and something else here.
    case $(uname):$target in
    Darwin:*:*) said=$(limit 3 ping6 -q -c 1 "$target" 2>&1) ;;
    Darwin:*) said=$(ping -q -c 1 -t 2 "$target" 2>&1) ;;
    *) said=$(ping -q -c 1 -W 1 -- "$target" 2>&1) ;;
    esac
    # Its exit code does not tell whether anything was sent: 1 is a bad option for one
    # program, an unknown host for another.
    case $?:$said in
    0:*) say ok ;;
    124:* | *"packets transmitted"*) say timeout ;;
    *"ot known"* | *"name resolution"* | *"bad address"* | *"nknown host"*) say unresolved ;;
    *": Network is unreachable"* | *": No route to host"* | *"onnect: Permission denied"*) say unreachable ;;
    esac
    say broken
    ;;
dns)
    resolves "$target"
    case $? in 0) say ok ;; 124) say timeout ;; 127) say no-getent ;; *) say unresolved ;; esac
    ;;
exec)
    set --
    more='' last=''
    # The line with the dot keeps empty arguments from getting lost.
    while IFS= read -r line; do
        if [ -n "$more" ]; then set -- "$@" "$last"; fi
        last=$line more=yes
    done <<END
$target
END
    have "$1" || say no-program
    limit 10 "$@" >/dev/null 2>&1 </dev/null
    rc=$?
    case $rc in 0) say ok ;; 124) say timeout ;; 125 | 126) say broken ;; *) say "nonzero-$rc" ;; esac
    ;;
esac
say broken
