#!/bin/sh
# entry.sh: the one command that a user who deploys may run as root. It takes script
# and values on its stdin, as deployvm sends them to a root login (src/host/script.rs);
# a rule of sudo or doas can name it, and nothing else.
#
# Arguments: none.   Exit: that of the script; 64 when there are arguments.
[ $# = 0 ] || exit 64
PATH=/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
exec xargs -0 -x -n 4000 sh -c
