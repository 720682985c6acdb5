# texts.sh BYTES PATH...: files of less than BYTES bytes and symbolic links in store paths
# that are here. Links are read, and never followed. It also runs on laptops, which may
# have neither Nix on this PATH nor the tools of GNU.
# stdout: four fields for each: store path, path in it (empty when it is the file itself),
#         `file` or `link`, and the text, or where the link leads; of what is no text,
#         every NUL is replaced by a byte that no text has
# exit code field: 0
most=$1
shift
for path; do
    # shellcheck disable=SC2016 # the inner shell expands it: names come as its arguments
    find "$path" -type f -size "-${most}c" -exec sh -c 'top=$1
        shift
        for file; do
            printf "%s\000%s\000file\000" "$top" "${file#"$top"}"
            tr "\000" "\377" <"$file"
            printf "\000"
        done' sh "$path" {} + 2>/dev/null
    # shellcheck disable=SC2016 # the same
    find "$path" -type l -exec sh -c 'top=$1
        shift
        for file; do
            printf "%s\000%s\000link\000%s\000" "$top" "${file#"$top"}" "$(readlink "$file")"
        done' sh "$path" {} + 2>/dev/null
done
finish 0
