# closures.sh PATH...: lists the closures of store paths that are here.
# stdout: fields: path and listing (as `nix path-info -r -s` prints it) in turn; the
#         listing is empty when the path is not valid
# exit code field: 0
for path; do
    field "$path"
    field "$(nix --extra-experimental-features nix-command path-info -r -s "$path" 2>/dev/null)"
done
finish 0
