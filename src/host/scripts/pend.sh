# pend.sh ID PATH...: holds store paths by pending roots before they are copied, so
# that no garbage collection takes them; drops pending roots older than a day.
# stdout: nothing
# exit code field: 0, or 73 when the roots cannot be made
roots=/nix/var/nix/gcroots/deployvm
id=$1
shift
mkdir -p "$roots" || finish 73
find "$roots" -maxdepth 1 -name '*-pending-*' -mmin +1440 -delete 2>/dev/null
n=0
for path; do
    n=$((n + 1))
    ln -sfn -- "$path" "$roots/$id-pending-$n" || finish 73
done
finish 0
