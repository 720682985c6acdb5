# system.sh STATE_DIR: the hypervisor's own system: what runs, what was booted, and the
# generations of its profile.
# stdout: fields, key and value in turn
# exit code field: 0
pair() { field "$1"; field "$2"; }
profile=/nix/var/nix/profiles/system
# parts SYSTEM: what a reboot is needed for: kernel, initrd, modules, and the kernel's
# parameters; a line each, empty where there is none.
parts() {
    for part in kernel initrd kernel-modules; do readlink -f -- "$1/$part" 2>/dev/null || echo; done
    head -c 4096 -- "$1/kernel-params" 2>/dev/null
}
current=$(readlink -f /run/current-system) booted=$(readlink -f /run/booted-system)
pair current "$current"
pair booted "$booted"
if [ -n "$booted" ]; then pair booted_parts "$(parts "$booted")"; fi
pair default "$(readlink -- "$profile")"
for link in "$profile"-*-link; do
    [ -L "$link" ] || continue
    number=${link#"$profile"-} number=${number%-link}
    case $number in '' | *[!0-9]*) continue ;; esac
    path=$(readlink -f -- "$link")
    pair generation "$number $(stat -c %Y -- "$link") $path"
    pair version "$(head -c 200 -- "$path/nixos-version" 2>/dev/null | head -n 1)"
    pair parts "$(parts "$path")"
done
for link in "$1"/*/toplevel; do
    if [ ! -L "$link" ]; then continue; fi
    vm=${link%/toplevel}
    pair toplevel "${vm##*/} $(readlink -- "$link")"
done
finish 0
