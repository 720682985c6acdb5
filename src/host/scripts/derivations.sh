# derivations.sh MOST ALL PATH...: the texts of derivations that are here.
# stdout: one field for each, empty when it is not here or has more than MOST bytes; fewer
#         fields than paths where all of them would have more than ALL bytes
# exit code field: 0
most=$1 room=$2
shift 2
for path; do
    size=0
    if [ -f "$path" ] && [ ! -L "$path" ]; then size=$(stat -c %s "$path"); fi
    if [ "$size" -gt "$most" ]; then size=0; fi
    if [ "$size" -gt "$room" ]; then break; fi
    room=$((room - size))
    if [ "$size" -gt 0 ]; then tr -d '\000' <"$path"; fi
    printf '\000'
done
finish 0
