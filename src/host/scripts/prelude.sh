# prelude.sh: set before every remote script (host/script.rs puts it in front).
# Transient units and ssh sessions on NixOS have almost no PATH.
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}
LC_ALL=C
export PATH LC_ALL
umask 022
# Whatever a login shell's rc file printed ends here.
printf '\n\000deployvm-begin\000'
# field VALUE: one NUL-ended field.
field() { printf '%s\000' "$1"; }
# finish CODE: the last field; without it the output was cut.
finish() {
    printf 'deployvm-end\000%s\000' "$1"
    exit 0
}
# xargs runs what it has when its input ends, wherever it was cut: the first value is the
# number of those that follow, and the last of them is a mark, which goes here: turn the
# values round until it is the first.
wanted=${1:-}
shift
[ $# = "$wanted" ] || finish 65
turned=1
while [ $turned -lt "$wanted" ]; do
    set -- "$@" "$1"
    shift
    turned=$((turned + 1))
done
[ "$1" = deployvm-input-end ] || finish 65
shift
