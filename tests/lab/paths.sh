# shellcheck shell=sh disable=SC2034 # sourced; its variables are used by the scripts
# paths.sh: where the things of a lab lie. Sourced, starts nothing.
#
# LAB_SOURCE  this directory            LAB_STATE  all labs and the cache
# After `lab_use NAME`: LAB (its directory), LAB_NAME, LAB_HV_NS and LAB_LAP_NS
# (network namespaces), LAB_MACHINE (its name for systemd-nspawn).

LAB_SOURCE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
LAB_STATE=${DEPLOYVM_LAB_DIR:-/var/tmp/deployvm-lab}

lab_fail() {
  echo "lab: $*" >&2
  exit 1
}

lab_use() {
  case $LAB_STATE in
    /*[!A-Za-z0-9/._-]* | [!/]*) lab_fail "DEPLOYVM_LAB_DIR must be an absolute path of plain characters" ;;
  esac
  case ${1-} in
    '' | cache) lab_fail "a lab needs a name (not '${1-}')" ;;
    *[!a-z0-9-]* | -*) lab_fail "'$1' is no lab name: a-z, 0-9 and - only" ;;
  esac
  [ "${#1}" -le 40 ] || lab_fail "'$1' is too long for a lab name (40)"
  LAB_NAME=$1
  LAB=$LAB_STATE/$1
  LAB_HV_NS=$1-hv
  LAB_LAP_NS=$1-lap
  LAB_MACHINE=deployvm-lab-$1
}

# Succeeds when the lab that lab_use chose is up.
lab_is_up() {
  [ -e "$LAB/up" ]
}

# Prints the process id, seen from outside, of the hypervisor's init.
lab_leader() {
  read -r lab_nspawn 2>/dev/null <"$LAB/hv/nspawn.pid" || return 1
  lab_child='' # the line has no end, so read fails in any case
  read -r lab_child lab_rest 2>/dev/null <"/proc/$lab_nspawn/task/$lab_nspawn/children" || :
  [ -n "$lab_child" ] || return 1
  echo "$lab_child"
}

# Prints where the unified cgroup tree is mounted.
lab_cgroups() {
  awk '{ for (i = 7; i <= NF; i++) if ($i == "-") { if ($(i+1) == "cgroup2") { print $5; exit } } }' \
    /proc/self/mountinfo
}
