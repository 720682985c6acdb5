# thrice.sh, started with probe.sh's text as $0 and its arguments: whether nothing lets
# us in, three times over three seconds. Ends with the first answer that is another.
# stdout: one word of probe.sh a line, the last one counts
# exit code: 0
for round in 1 2 3; do
    word=$(sh -c "$0" probe "$@") || word=broken
    echo "$word"
    case $word in refused | timeout | unreachable) ;; *) exit 0 ;; esac
    [ "$round" = 3 ] || sleep 1.5
done
