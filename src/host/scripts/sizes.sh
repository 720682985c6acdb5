# sizes.sh PATH...: the sizes of the closures of store paths that are here.
# stdout: one field: a line for each path that is valid, as `nix path-info -S` prints it
# exit code field: 0
sizes() { nix --extra-experimental-features nix-command path-info -S "$@" 2>/dev/null; }
# All at once; one by one when one of them is not valid, which ends the whole listing.
if [ $# = 0 ]; then field ''; else field "$(sizes "$@" || for path; do sizes "$path"; done)"; fi
finish 0
