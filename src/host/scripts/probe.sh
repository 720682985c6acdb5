# probe.sh KIND TARGET PORT STATUS BODY: asks one question once, from this machine.
# KIND is http, tcp, ping, dns or exec; for exec TARGET is the program and its
# arguments, one a line. BODY is a POSIX extended regular expression.
# stdout: one word: ok, refused, timeout, unreachable, wrong-status, wrong-body,
#         unresolved, nonzero, broken (the probe itself could not run)
# exit code: 0
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
kind=$1 target=$2 port=$3 status=$4 body=$5

# word CURLCODE: curl's exit code as one of our words.
word() {
    case $1 in
    0) echo ok ;;
    6) echo unresolved ;;
    7 | 52 | 56) echo refused ;;
    28) echo timeout ;;
    127) echo broken ;;
    *) echo unreachable ;;
    esac
}

case $kind in
http)
    page=$(mktemp) || { echo broken; exit 0; }
    trap 'rm -f "$page"' EXIT
    # -q first: no curlrc; --noproxy: ask the guest itself; only http and https.
    code=$(curl -q -s -o "$page" --noproxy '*' --proto =http,https --connect-timeout 2 --max-time 5 \
        --max-filesize 4194304 -w '%{http_code}' -- "$target")
    rc=$?
    if [ $rc != 0 ]; then word $rc; exit 0; fi
    if [ -n "$status" ]; then wanted=$status; else wanted=2??; fi
    # shellcheck disable=SC2254 # a pattern on purpose: digits and question marks only
    case $code in $wanted) ;; *) echo wrong-status; exit 0 ;; esac
    if [ -n "$body" ] && ! grep -qE -e "$body" "$page"; then echo wrong-body; else echo ok; fi
    ;;
tcp)
    # bash can connect and leave at once. Without it: curl has a time for the
    # connection when there was one, whatever came afterwards.
    if command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
        # shellcheck disable=SC2016 # expanded by that bash
        said=$(timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$target" "$port" 2>&1 </dev/null)
        case $?:$said in
        0:*) echo ok ;;
        124:*) echo timeout ;;
        *refused* | *reset*) echo refused ;;
        *"timed out"*) echo timeout ;;
        *ot\ known* | *olve* | *resolution*) echo unresolved ;;
        *nreachable* | *"No route"* | *rohibited* | *"ermission denied"*) echo unreachable ;;
        *) echo broken ;;
        esac
        exit 0
    fi
    case $target in *:*) host="[$target]" ;; *) host=$target ;; esac
    took=$(curl -q -s -o /dev/null --noproxy '*' --connect-timeout 2 --max-time 2 -w '%{time_connect}' \
        -- "telnet://$host:$port" </dev/null)
    rc=$?
    case $took in '' | 0.000000 | 0,000000 | 0) word $rc ;; *) echo ok ;; esac
    ;;
ping)
    ping -n -q -c 1 -W 1 -- "$target" >/dev/null 2>&1
    case $? in 0) echo ok ;; 1) echo timeout ;; 127) echo broken ;; *) echo unreachable ;; esac
    ;;
dns)
    timeout 5 getent ahosts "$target" >/dev/null 2>&1
    case $? in 0) echo ok ;; 124) echo timeout ;; 127) echo broken ;; *) echo unresolved ;; esac
    ;;
exec)
    set -f
    IFS='
'
    # shellcheck disable=SC2086 # one argument a line
    set -- $target
    timeout 10 "$@" >/dev/null 2>&1 </dev/null
    case $? in 0) echo ok ;; 124) echo timeout ;; 126 | 127) echo broken ;; *) echo nonzero ;; esac
    ;;
*) echo broken ;;
esac
