# receive.sh ID SECONDS WHO: watches over a copy, beside it. What receives for deployvm
# (`nix-daemon --stdio`, started by sshd) carries DEPLOYVM_PUSH=ID in its environment.
# Where sshd does not notice that the line is dead, it would wait for hours for bytes that
# never come, and hold the locks of store paths: any of them is ended here as soon as
# nothing has come over its connection for SECONDS. A living client asks whether we live
# when it has heard nothing for five seconds, even while its copying waits; so here nothing
# is said more often. WHO is told to those who wait for ID.
# Goes on when nobody listens any more, as long as something receives for ID.
# stdout: lines: `beat` every 12 s; `waits PID SILENT PUSH WHO` once for each process
#         whose lock the copy waits for: milliseconds since something came from it, the
#         push that it receives for and whose, or - - and its name; a line with a dot;
#         no fields
# exit code field: 0
# shellcheck disable=SC2174 # the parents exist on every system
id=$1 limit=$(($2 * 1000))
trap '' PIPE HUP
# Ends the line that the mark before it began.
printf 'beat\n' 2>/dev/null
# Only for words: without it others are told the id alone.
whose=/run/deployvm/.receive-$id
{ mkdir -p -m 0700 /run/deployvm && find /run/deployvm -maxdepth 1 -name '.receive-*' -mmin +1440 -delete &&
    printf '%s\n' "$3" >"$whose"; } 2>/dev/null
trap 'rm -f "$whose"' EXIT
trap 'exit 0' TERM INT

# carried PID NAME: a variable that a process was started with, empty without it. Anybody
# there can start a process with such a variable, and have it ended.
carried() {
    said=$(grep -a -z -m 1 "^$2=" "/proc/$1/environ" 2>/dev/null | tr -d '\000')
    printf '%s' "${said#*=}"
}

# carrier PID: which process carries the push that it works for: itself, or, for a worker
# of the Nix daemon, its client, whose id stands in the worker's title.
carrier() {
    if [ -z "$(carried "$1" DEPLOYVM_PUSH)" ]; then
        client=$(tr '\000' ' ' 2>/dev/null <"/proc/$1/cmdline" | sed -n 's/^[^ ]*nix-daemon \([0-9][0-9]*\) *$/\1/p')
        if [ -n "$client" ]; then set -- "$client"; fi
    fi
    echo "$1"
}

# silent PID: for how many milliseconds nothing has come over the connection that it
# serves; nothing where the kernel does not know of such a connection.
silent() {
    read -r from from_port _ to_port <<END
$(carried "$1" SSH_CONNECTION)
END
    case $from_port:$to_port in :* | *: | *[!0-9:]*) return ;; esac
    ss -HtniO state established sport = ":$to_port" dport = ":$from_port" 2>/dev/null |
        awk -v from="${from%%%*}" '{
            peer = $4
            sub(/:[0-9]+$/, "", peer); gsub(/[][]/, "", peer); sub(/%.*/, "", peer); sub(/^::ffff:/, "", peer)
            if (peer != from) next
            # What has come and was not read yet is not silence; and no word is none.
            for (i = 5; i <= NF && $1 == 0; i++) if ($i ~ /^lastrcv:/) ms = substr($i, 9)
            print ms + 0
            exit
        }'
}

# look: ends what is too silent; what receives for this push is in MINE.
ended=' ' lost=
look() {
    MINE=
    while IFS=/ read -r _ _ pid _; do
        if [ -z "$pid" ]; then continue; fi
        push=$(carried "$pid" DEPLOYVM_PUSH)
        if [ "$push" = "$id" ]; then MINE="$MINE $pid"; fi
        ms=$(silent "$pid")
        if [ "${ms:-0}" -lt "$limit" ]; then continue; fi
        # Nix 2.8 does not always hear the first one.
        case $ended in *" $pid "*) kill -s KILL "$pid" ;; *) kill "$pid" && ended="$ended$pid " ;; esac 2>/dev/null
        if [ "$push" = "$id" ]; then lost=yes; fi
        # Nobody will come for its roots. Its own watcher may find it gone already.
        case $push in *[!0-9a-z-]*) ;; *) find /nix/var/nix/gcroots/deployvm -maxdepth 1 -name "$push-pending-*" -delete ;; esac 2>/dev/null
    done <<END
$(grep -l -a -z '^DEPLOYVM_PUSH=' /proc/[0-9]*/environ 2>/dev/null)
END
}

# tell: whom those in MINE wait for, when it is not for a moment only.
seen=' ' told=' '
tell() {
    now=' '
    while read -r waiter holder; do
        if [ -z "$holder" ] || [ "$(carried "$(carrier "$waiter")" DEPLOYVM_PUSH)" != "$id" ]; then continue; fi
        now="$now$holder "
        case $told in *" $holder "*) continue ;; esac
        case $seen in *" $holder "*) told="$told$holder " ;; *) continue ;; esac
        by=$(carrier "$holder")
        push=$(carried "$by" DEPLOYVM_PUSH)
        case $push in
        '' | *[!0-9a-z-]*)
            read -r name <"/proc/$holder/comm" && printf 'waits %s - - %s\n' "$holder" "$name"
            ;;
        *)
            ms=$(silent "$by")
            printf 'waits %s %s %s %s\n' "$holder" "${ms:--}" "$push" "$(head -c 300 "/run/deployvm/.receive-$push" | head -n 1)"
            ;;
        esac 2>/dev/null
    done <<END
$(awk '$2 != "->" { of[$6] = $5; next } $7 in of { print $6, of[$7] }' /proc/locks 2>/dev/null)
END
    seen=$now
}

heard=yes MINE='' round=0 gone=
while :; do
    sleep 2
    round=$((round + 1))
    if [ -n "$heard" ] && [ $((round % 6)) = 0 ]; then printf 'beat\n' 2>/dev/null || heard=; fi
    look
    if [ -n "$MINE" ]; then
        gone=0
        if [ -n "$heard" ]; then tell; fi
        continue
    fi
    if [ -n "$lost" ]; then break; fi
    # It may not have begun; and it is tried once more where Nix 2.8 stumbles.
    if [ -z "$heard" ] || [ "${gone:-0}" -ge 2 ]; then break; fi
    if [ -n "$gone" ]; then gone=$((gone + 1)); fi
done
printf '.\n' 2>/dev/null
finish 0 2>/dev/null
