# library.sh: what the parts of a transaction share: parameters, events, the clock,
# the unit's state, the links. Sourced by transaction.sh; sets no state of its own
# but the variables named in capitals below.
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 022
ulimit -f unlimited 2>/dev/null || :
IFS=' 	
'
base=/var/lib/deployvm

# said FILE: what is in it, empty when it is not there. Loops ask again and again, so no
# other program is started for it.
said() {
    if [ ! -e "$1" ]; then return 0; fi
    while IFS= read -r said_line; do printf '%s\n' "$said_line"; done <"$1"
    printf '%s' "$said_line"
}

# p NAME: a parameter's value, empty when it was not given.
p() { said "$dir/p/$1"; }

# keep NAME VALUE / kept NAME: facts that must survive this process.
keep() { printf '%s' "$2" >"$dir/before/$1"; }
kept() { said "$dir/before/$1"; }

# about VM: whose links and units the other parts mean from now on.
about() {
    vm=$1 vmdir=$(p state_dir)/$1 unit=microvm@$1.service
    helpers="microvm-set-booted@$1.service microvm-tap-interfaces@$1.service microvm-macvtap-interfaces@$1.service microvm-pci-devices@$1.service microvm-virtiofsd@$1.service"
}
about "$(p vm)"
id=$(p id)
to=$(p to)
# shellcheck disable=SC2034 # host.sh knows one way only
how=$(p how)
own_root=/nix/var/nix/gcroots/deployvm

# step WORD [DETAIL]: tells whoever follows. Where there is no room for that, all goes on.
step() { printf 'step %s %s\n' "$1" "${2:-}" >>"$dir/events" || :; }

# now: milliseconds of the monotonic clock.
now() {
    read -r up _ </proc/uptime
    echo $((${up%.*} * 1000 + (1${up#*.} - 100) * 10))
}

# decide VERDICT: the first one wins; succeeds when it was ours or the same. Where it
# cannot be written down it is kept in UNWRITTEN.
decide() {
    ln -sT -- "$1" "$dir/decided" 2>/dev/null || [ "$(readlink "$dir/decided")" = "$1" ] || {
        [ -L "$dir/decided" ] || UNWRITTEN=$1
        return 1
    }
}
# decided: the verdict; where there was no room for it, what this process has come to.
decided() {
    readlink "$dir/decided" 2>/dev/null ||
        case ${UNWRITTEN:-} in undo.* | keep.*) echo "$UNWRITTEN" ;; *) return 1 ;; esac
}
# carried_out: the verdict as it was carried out. On a full disk one that could not be
# committed cannot be replaced either.
carried_out() {
    case $(decided):$(sed -n 1p "$dir/result/outcome" 2>/dev/null) in
    commit.*:rolled-back | commit.*:failed | commit.*:) echo undo.commit-failed ;;
    *) decided ;;
    esac
}
# reason: its second half, one word.
reason() { r=$(carried_out) && echo "${r#*.}"; }

# A redirection that fails ends the shell when it is that of `:`, but not that of `true`.

# lock_vm SECONDS: the one lock per VM, held until this process ends. Whoever only
# looks holds it for a moment, so nobody asks for it without a little patience.
lock_vm() {
    { true >>"/run/deployvm/$vm.lock"; } 2>/dev/null || return 1
    exec 9>"/run/deployvm/$vm.lock"
    flock -w "$1" 9 || return 1
    # Ours it is also where there is no room to say so.
    p holder 2>/dev/null >"/run/deployvm/$vm.holder" || true
}

shutting_down() { [ "$(systemctl is-system-running 2>/dev/null)" = stopping ]; }

# look: the unit's state now, in ACTIVE SUB PID INVOCATION. While systemd re-executes
# itself it does not answer; no answer is not an answer.
look() {
    for look_round in 1 2 3 4 5 6 7 8 9 10; do
        look_once
        if [ -n "$ACTIVE" ]; then return 0; fi
        if [ "$look_round" -lt 10 ]; then sleep 0.5; fi
    done
    return 1
}
# shellcheck disable=SC2034 # whoever asks for it takes what it needs
look_once() {
    ACTIVE='' SUB='' PID=0 INVOCATION=''
    while IFS='=' read -r key value; do
        case $key in
        ActiveState) ACTIVE=$value ;;
        SubState) SUB=$value ;;
        MainPID) PID=$value ;;
        InvocationID) INVOCATION=$value ;;
        esac
    done <<END
$(systemctl show -p ActiveState -p SubState -p MainPID -p InvocationID -- "$unit")
END
}

# alive PID: whether that process exists and is no zombie.
alive() {
    [ "$1" -gt 0 ] && [ -d "/proc/$1" ] || return 1
    while read -r alive_key alive_state; do
        case $alive_key:$alive_state in
        State:[ZX]*) return 1 ;;
        State:*) return 0 ;;
        esac
    done 2>/dev/null <"/proc/$1/status"
    return 1
}

# login UNIT: as whom it runs, in LOGIN_USER and LOGIN_GROUP.
login() {
    LOGIN_USER='' LOGIN_GROUP=''
    while IFS='=' read -r key value; do
        case $key in
        User) LOGIN_USER=$value ;;
        Group) LOGIN_GROUP=$value ;;
        esac
    done <<END
$(systemctl show -p User -p Group -- "$1")
END
}

# point RUNNER: `current` becomes a link to it, by rename: never a moment without.
# The owner is that of the link replaced, else microvm:kvm.
point() {
    # What somebody has put in the place of the directory is not written to.
    if [ -L "$vmdir" ]; then return 1; fi
    if [ "$(readlink -- "$vmdir/current")" = "$1" ]; then
        sync -- "$vmdir" 2>/dev/null || :
        return 0
    fi
    # What an undo goes back to was prepared: a full disk cannot keep it from renaming.
    if [ -L "$vmdir/.back.$id" ] && [ "$(readlink -- "$vmdir/.back.$id")" = "$1" ]; then
        if ln -sfn -- "$1" "$vmdir/.spare.$id" 2>/dev/null; then
            chown -h --reference="$vmdir/.back.$id" -- "$vmdir/.spare.$id"
        fi
        mv -fT -- "$vmdir/.back.$id" "$vmdir/current" || return 1
        if [ -L "$vmdir/.spare.$id" ]; then mv -fT -- "$vmdir/.spare.$id" "$vmdir/.back.$id"; fi
        sync -- "$vmdir"
        return
    fi
    owner=$(stat -c %u:%g -- "$vmdir/current" 2>/dev/null) || owner=microvm:kvm
    ln -sfn -- "$1" "$vmdir/.current.$id" &&
        chown -h -- "$owner" "$vmdir/.current.$id" &&
        mv -fT -- "$vmdir/.current.$id" "$vmdir/current" &&
        sync -- "$vmdir"
}

# no_room DIRECTORY: whether nothing can be written there for now: a disk that is full or
# read-only may change, whatever else is wrong will not.
no_room() {
    if [ -L "$1" ]; then return 1; fi
    no_room_said=$(ln -sfn -- room "$1/.current.$id" 2>&1) && { rm -f -- "$1/.current.$id"; return 1; }
    case $no_room_said in *"No space left"* | *"Read-only file system"* | *"quota exceeded"*) return 0 ;; esac
    return 1
}

# root NAME PATH / unroot NAME: hold a store path while the transaction lasts.
root() { mkdir -p "$own_root" && ln -sfn -- "$2" "$own_root/$id-$1"; }
unroot() { rm -f -- "$own_root/$id-$1"; }

# unroot_ended: those of switches that have ended, and their links beside this VM's. Who
# went down with the machine in its last step could not drop them, and nothing works on it
# any more.
unroot_ended() {
    for ended_root in "$own_root"/*-to "$own_root"/*-from "$own_root"/*-old*; do
        [ -L "$ended_root" ] || continue
        ended_dir=${ended_root##*/} ended_dir=$base/transactions/${ended_dir%-*}
        if [ -e "$ended_dir/outcome" ] || [ ! -e "$ended_dir" ]; then rm -f -- "$ended_root"; fi
    done
    for ended_link in "$vmdir"/.back.* "$vmdir"/.spare.* "$vmdir"/.current.*; do
        case ${ended_link##*.} in [0-9]*t[0-9]*-*) ;; *) continue ;; esac
        if [ -L "$vmdir" ]; then break; fi
        ended_dir=$base/transactions/${ended_link##*.}
        if [ -L "$ended_link" ] && { [ -e "$ended_dir/outcome" ] || [ ! -e "$ended_dir" ]; }; then rm -f -- "$ended_link"; fi
    done
}

# disarm: the guard is not needed any more.
disarm() { systemctl stop --no-block "deployvm-guard-$vm-$id.timer" 2>/dev/null || :; }

# begins: whether systemd has just started what works on this, and it has not come so far
# as to say so.
begins() { [ -z "$(kept boot)" ] && systemctl is-active --quiet "deployvm-$(p verb)-$vm-$id" 2>/dev/null; }

# overdue: the guard met a living transaction; past the last deadline it is stuck.
overdue() {
    limit=$(kept limit)
    if [ -n "$limit" ] && [ "$(kept boot)" = "$(boot_id)" ] && [ "$(now)" -gt "$limit" ]; then
        decide undo.deadline || :
        systemctl kill -s KILL -- "deployvm-$(p verb)-$vm-$id.service" 2>/dev/null || :
    fi
}

# reserve / release: some room on the disk, and some names, for what an undo writes. A disk
# that compresses must not make nothing of it.
reserve() {
    mkdir -p "$dir/reserve" || return 1
    for reserved in 1 2 3 4; do head -c 16384 /dev/urandom >"$dir/reserve/$reserved" || return 1; done
}
release() { rm -rf -- "${dir:?}/reserve"; }

# prepare_back RUNNER: the link that an undo renames, and some room on the disk.
prepare_back() {
    reserve || return 1
    [ -d "$vmdir" ] && [ -n "$1" ] || return 0
    back_owner=$(stat -c %u:%g -- "$vmdir/current" 2>/dev/null) || back_owner=microvm:kvm
    ln -sfn -- "$1" "$vmdir/.back.$id" && chown -h -- "$back_owner" "$vmdir/.back.$id"
}

# boot_id: which boot of this machine it is; its clock begins anew with each.
boot_id() { cat /proc/sys/kernel/random/boot_id 2>/dev/null; }

# milliseconds SECONDS
milliseconds() { echo $((${1:-0} * 1000)); }
