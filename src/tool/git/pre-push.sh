#!/bin/sh
# Made by `deployvm hook install`; `deployvm hook uninstall` puts back what was here.
# This text is the same everywhere: what was said to `install` is data, below deployvm/
# in the git directory. In a repository without that, only the hook from before runs.
#
# Arguments: the remote's name and URL.   Stdin: a line for each ref, as git says them.
# Exit: that of the hook from before, if it is not 0, or else that of `deployvm hook run`.
# Ways out: git push --no-verify; DEPLOYVM_SKIP=1 git push.

here=${0%/*}
before=$here/pre-push.before-deployvm
refs=$(cat)

# A hook may end before it has read them all.
say() {
    [ -z "$refs" ] || printf '%s\n' "$refs" 2>/dev/null
}

status=0
if [ -f "$here/h" ] && [ -f "$before" ]; then
    # husky's: it finds what to run by $0, and so must be read in here.
    # shellcheck disable=SC1090
    say | (. "$before") || status=$?
elif [ -x "$before" ]; then
    # Like git, which runs no hook that is not executable.
    say | "$before" "$@" || status=$?
fi
[ "$status" = 0 ] || exit "$status"

case ${DEPLOYVM_SKIP:-0} in
    0) ;;
    *)
        echo "deployvm: left out, as DEPLOYVM_SKIP says" >&2
        exit 0
        ;;
esac
settings=$(git rev-parse --git-common-dir)/deployvm
[ -f "$settings/hook.json" ] || exit 0
program=$(cat "$settings/program" 2>/dev/null)
if [ ! -x "$program" ] && ! command -v deployvm >/dev/null; then
    echo "deployvm: it is not where it was any more ($program), nor on PATH." >&2
    echo "Run 'deployvm hook install' again, or push with: DEPLOYVM_SKIP=1 git push" >&2
    exit 1
fi
[ -x "$program" ] || program=deployvm
say | "$program" hook run -- "$@"
