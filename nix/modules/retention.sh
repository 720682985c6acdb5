# retention.sh KEEP: drops old generations of every microVM. Which those are, and when they
# are left alone, is in src/host/scripts/retention.sh, which hypervisor.nix puts in front.
#
# Run once a day by the unit deployvm-retention.
# Arguments: KEEP, at least 2.   Stdout: a line for each VM of which something was dropped.
# Exit: 0; 64 without a number; 1 when something could not be dropped.
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 022
keep=${1-}
case $keep in '' | *[!0-9]* | 0 | 1) exit 64 ;; esac
status=0
# shellcheck disable=SC2174 # the parents exist on every system
mkdir -p -m 0700 /run/deployvm || exit 1
for profile in "$base"/profiles/*; do
    vm=${profile##*/}
    case $vm in [!0-9a-zA-Z]* | *[!-0-9a-zA-Z._]* | *-link | *.lock) continue ;; esac
    [ -L "$profile" ] || continue
    (
        hold "$vm" || exit 0
        dropped=
        for n in $(old "$vm"); do
            forget "$vm" "$n" || exit 1
            dropped="$dropped $n"
        done
        [ -z "$dropped" ] || echo "$vm: dropped$dropped"
    ) || status=1
done
exit $status
