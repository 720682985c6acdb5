# vsock.sh: finds a socat that can reach a guest over vsock. The runners of QEMU bring
# one for their own use, so nothing needs to be installed where a VM was deployed.
# stdout: one field, its path, empty when there is none
# exit code field: 0
socat=$(command -v socat) || socat=$(cat /var/lib/microvms/*/current/bin/microvm-shutdown 2>/dev/null |
    grep -o '/[-+._?=0-9a-zA-Z/]*/bin/socat' | head -n 1)
if [ -n "$socat" ] && "$socat" -h 2>/dev/null | grep -qi vsock-connect; then field "$socat"; else field ''; fi
finish 0
