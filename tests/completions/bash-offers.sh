#!/bin/bash
# What bash offers to complete a line with, one word a line.
#
# Arguments: the file with the completion; the words of the line, the last one to be
# completed (it may be empty).
set -eu
# shellcheck source=/dev/null # generated
. "$1"
shift
registered=$(complete -p deployvm)
function=${registered#*-F }
function=${function%% *}
# shellcheck disable=SC2034 # what bash sets for such a function
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
COMPREPLY=()
"$function" deployvm "${*: -1}" "${*: -2:1}"
for word in "${COMPREPLY[@]}"; do printf "%s\n" "$word"; done
