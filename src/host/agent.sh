#!/bin/sh
# An ssh-agent that ends when whoever started this does, however that ends: its input is
# a pipe that is closed then.
#
# Arguments: SOCKET   Input: nothing, until its end   Prints nothing   Exit: 0
ssh-agent -D -a "$1" >/dev/null 2>&1 &
cat >/dev/null
kill "$!" 2>/dev/null
wait "$!"
exit 0
