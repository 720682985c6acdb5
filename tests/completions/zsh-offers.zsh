# What zsh offers to complete a line with, one word a line.
#
# Arguments: a directory with the completion `_deployvm` in it; the line.
# A shell of its own is asked, in a pseudo-terminal, as completion needs one.
directory=$1 line=$2
zmodload zsh/zpty

# What that shell reads: all that would be offered is written down, then it ends.
cat >$directory/inside <<'INSIDE'
PROMPT=
fpath=($directory $fpath)
autoload -Uz compinit
compinit -u -D
bindkey '^I' complete-word
compadd() {
    # A call that only fills arrays offers nothing.
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        local -a offered
        builtin compadd -A offered "$@"
        print -rl -- $offered >>$directory/offered
    fi
    builtin compadd "$@"
}
comppostfuncs=(exit)
print ready
INSIDE

: >$directory/offered
# An interactive shell ends only by KILL, should it not end by itself.
zpty shell "timeout --foreground -s KILL 60 env directory=${(q)directory} zsh -f -i"
zpty -w shell ". ${(q)directory}/inside"
zpty -r shell said '*ready*' || exit 1
zpty -w -n shell $line$'\t'
# Until it has ended.
while zpty -r shell said; do :; done
cat $directory/offered
