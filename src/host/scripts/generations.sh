# generations.sh: generations and their terms, what else microvm.nix keeps of a VM, and
# which process runs what. Sourced by transaction.sh.
profile=$(p profile)
if [ -z "$profile" ]; then profile=$base/profiles/$vm; fi

# generation_of PATH: its number, empty when it has none. The highest, if several.
generation_of() {
    best=
    for link in "$profile"-*-link; do
        if [ "$(readlink -- "$link")" != "$1" ]; then continue; fi
        n=${link#"$profile"-} n=${n%-link}
        case $n in '' | *[!0-9]*) continue ;; esac
        if [ -z "$best" ] || [ "$n" -gt "$best" ]; then best=$n; fi
    done
    echo "$best"
}

# make_generation PATH: the profile points to it; prints its number. An existing
# number is used again, so that going back makes no new one. nix-env takes no lock
# of its own: ours is held.
make_generation() {
    mkdir -p "$base/profiles" "$dir/home" || return 1
    n=$(generation_of "$1")
    if [ -n "$n" ]; then
        HOME=$dir/home nix-env -p "$profile" --switch-generation "$n" >/dev/null 2>"$dir/result/generation" || return 1
    else
        HOME=$dir/home nix-env -p "$profile" --set "$1" >/dev/null 2>"$dir/result/generation" || return 1
        n=$(readlink -- "$profile") n=${n#"${profile##*/}"-} n=${n%-link}
    fi
    [ "$(readlink -- "$profile-$n-link")" = "$1" ] && echo "$n"
}

# flushed: the verdict, and the number with its root, are on the disk: what is said to be
# committed must not come back without them.
flushed() {
    sync -- "$dir" "${profile%/*}" || return 1
    [ ! -d /nix/var/nix/gcroots/auto ] || sync -- /nix/var/nix/gcroots/auto
}

# keep_terms N: what a later rollback to this generation has to know, as it came.
keep_terms() {
    [ -s "$dir/p/terms" ] || return 0
    mkdir -p "$base/terms/$vm" || return 0
    new=$base/terms/$vm/.$1.$id
    if cp -- "$dir/p/terms" "$new" && sync -- "$new"; then mv -fT -- "$new" "$base/terms/$vm/$1.json"; fi
}

# repoint_profile: it follows `current`, where that has a number.
repoint_profile() {
    n=$(generation_of "$(kept current)")
    [ -z "$n" ] || [ "$(readlink -- "$profile")" = "$vm-$n-link" ] || make_generation "$(kept current)" >/dev/null
}

# drop_new_number: a commit that failed may have made one already; a number belongs
# only to what was verified.
drop_new_number() {
    n=$(generation_of "$to")
    if [ -z "$n" ] || [ -n "$(kept number_before)" ]; then return 0; fi
    # Where nothing was there before, the profile is at it still.
    if [ "$(readlink -- "$profile")" = "${profile##*/}-$n-link" ]; then rm -f -- "$profile"; fi
    rm -f -- "$profile-$n-link" "$base/terms/$vm/$n.json"
}

# adopt: what runs or is staged, and was not made by deployvm, gets a number first.
adopt() {
    for what in booted current; do
        path=$(kept "$what")
        case $path in /nix/store/*) ;; *) continue ;; esac
        [ "$path" = "$to" ] && continue
        [ -z "$(generation_of "$path")" ] || continue
        nix-store --check-validity "$path" 2>/dev/null || continue
        was=$(readlink -- "$profile") || was=
        n=$(make_generation "$path") || continue
        # Only what runs has proved that it does.
        state=staged
        if [ "$path" = "$(kept booted)" ] && [ "$(kept was_up)" = yes ]; then state=deployed; fi
        if append_line "$(p "l_adopt_$what")" "$n" "$state" null '' ''; then
            step adopted "$n"
        else
            # A number of which nobody knows whether it ever ran would count as one that did.
            if [ -n "$was" ]; then ln -sfnT -- "$was" "$profile"; else rm -f -- "$profile"; fi
            rm -f -- "$profile-$n-link"
        fi
    done
}

# upstream_roots: the links that `microvm` makes, so that it goes on working.
upstream_roots() {
    mkdir -p /nix/var/nix/gcroots/microvm || return 0
    ln -sfn -- "$vmdir/current" "/nix/var/nix/gcroots/microvm/$vm"
    ln -sfn -- "$vmdir/booted" "/nix/var/nix/gcroots/microvm/booted-$vm"
}

# write_flake: a new VM gets one; an existing file is never touched.
write_flake() {
    [ -n "$(p flake)" ] && [ ! -e "$vmdir/flake" ] && [ ! -L "$vmdir/flake" ] || return 0
    # Never through a link that somebody put there.
    rm -f -- "$vmdir/.flake.$id"
    (set -C && p flake >"$vmdir/.flake.$id") && chown -h microvm:kvm "$vmdir/.flake.$id" && mv -nT -- "$vmdir/.flake.$id" "$vmdir/flake"
}

# remember_running: which runner the main process is; `status` believes it only
# while process, invocation and start time all match.
remember_running() {
    look
    mkdir -p "$base/running" || return 0
    if [ "$ACTIVE" != active ] || [ "$PID" = 0 ]; then rm -f -- "$base/running/$vm"; return 0; fi
    ticks=$(sed 's/.*) //' "/proc/$PID/stat" | cut -d ' ' -f 20)
    printf '%s %s %s %s\n' "$(readlink -- "$vmdir/booted")" "$PID" "$INVOCATION" "$ticks" >"$base/running/.$vm.$id"
    mv -fT -- "$base/running/.$vm.$id" "$base/running/$vm"
}
