//! Where `current` and `booted` point, what holds them, and what they were made of.

use super::{Findings, One};
use crate::model::finding::{Mend, Severity, Trap};
use crate::model::observed::{Found, Mode};
use crate::model::store_path::StorePath;

const STATE: &str = "/var/lib/microvms";
const ROOTS: &str = "/nix/var/nix/gcroots/microvm";

/// Judges the links of a VM on which nobody works now.
pub(super) fn judge(one: &One<'_>, list: &mut Findings<'_>) {
    let Some(found) = one.found else { return };
    current(one, found, list);
    booted(one, found, list);
    roots(one, found, list);
    generations(one, found, list);
    flake(one, found, list);
}

/// Points `current` at this runner, as the user whose link it is.
fn point(one: &One<'_>, runner: &StorePath, list: &Findings<'_>) -> Mend {
    let link = format!("{STATE}/{}/current", one.name);
    list.typed.there(&[format!("ln -sfn {runner} {link}"), format!("chown -h microvm:kvm {link}")])
}

/// What `current` should be, when it is not there: what runs, or the generation.
fn instead(found: &Found, lost: &[String]) -> Option<StorePath> {
    let is_lost = |path: &StorePath| lost.iter().any(|gone| gone == path.as_str());
    let number = found.generation;
    let numbered = || found.generations.iter().rfind(|(n, _)| number.is_none_or(|number| number == *n));
    let booted = found.booted_path().filter(|_| found.booted_valid);
    booted.or_else(|| numbered().map(|(_, path)| path.clone()).filter(|path| !is_lost(path)))
}

fn current(one: &One<'_>, found: &Found, list: &mut Findings<'_>) {
    let vm = one.name;
    let anew = match instead(found, &one.there.exam.lost) {
        Some(runner) => point(one, &runner, list),
        None => list.typed.deployvm(&format!("push {vm}")),
    };
    match &found.current {
        None => list.error(
            Trap::CurrentMissing,
            one.place(),
            "there is no `current`: the next start, or crash, starts nothing",
            format!("{STATE}/{vm}/current is missing"),
            anew,
        ),
        Some(target) if found.staged().is_none() => match &one.exam.ends_at {
            Some(end) => {
                let mend = point(one, end, list);
                list.error(
                    Trap::ExtraHop,
                    one.place(),
                    "`current` points to another link: a garbage collection does not follow that, and `booted` copies it",
                    format!("current -> {target} -> {end}"),
                    mend,
                );
            }
            None => list.error(
                Trap::CurrentDangling,
                one.place(),
                "`current` does not point into the store: nothing can be started",
                format!("current -> {target}"),
                anew,
            ),
        },
        Some(target) if !found.current_valid => list.error(
            Trap::CurrentDangling,
            one.place(),
            "`current` points to what is not in the store: the next start, or crash, starts nothing",
            format!("current -> {target}"),
            anew,
        ),
        Some(_) => {}
    }
}

fn booted(one: &One<'_>, found: &Found, list: &mut Findings<'_>) {
    let Some(target) = &found.booted else { return };
    let restart = list.typed.deployvm(&format!("restart {}", one.name));
    if !found.booted_valid {
        let (what, mend) = if found.is_running() {
            (
                "what it booted is not in the store any more: it cannot be shut down cleanly, nor gone back to",
                restart,
            )
        } else {
            let mend = list.typed.once(format!("rm {STATE}/{}/booted", one.name));
            ("it does not run, but `booted` still points to what is not in the store", mend)
        };
        list.warning(Trap::BootedDangling, one.place(), what, format!("booted -> {target}"), mend);
        return;
    }
    let names = |path: &StorePath| path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    if let (true, Some(staged), Some(boots)) = (found.is_running(), found.staged(), found.booted_path()) {
        if let Some(runs) = found.running.as_ref().filter(|runs| **runs != boots) {
            list.warning(
                Trap::OtherRuns,
                one.place(),
                "`booted` is not what runs",
                format!("booted is {}, {} runs", names(&boots), names(runs)),
                restart,
            );
        } else if staged != boots && found.current_valid {
            list.warning(
                Trap::Stale,
                one.place(),
                "something else is staged than runs: a crash, or a reboot inside, deploys it untried",
                format!("{} runs, {} is staged", names(&boots), names(&staged)),
                restart,
            );
        }
    }
}

/// The links that keep a garbage collection from taking what is staged and what runs.
fn roots(one: &One<'_>, found: &Found, list: &mut Findings<'_>) {
    let vm = one.name;
    let numbered = |path: &StorePath| found.generations.iter().any(|(_, generation)| generation == path);
    let booted = found.booted_path().filter(|_| found.booted_valid && found.is_running());
    let staged = found.staged().filter(|_| found.current_valid);
    for (path, root, link, name) in [
        (staged, &one.exam.root_current, "current", vm.to_string()),
        (booted, &one.exam.root_booted, "booted", format!("booted-{vm}")),
    ] {
        let Some(path) = path else { continue };
        let target = format!("{STATE}/{vm}/{link}");
        let holds = root.as_ref().is_some_and(|root| *root == target || *root == path.as_str());
        // The host's own system holds what its configuration stages.
        let by_host = found.mode == Mode::HostOwned && found.staged().as_ref() == Some(&path);
        if holds || by_host {
            continue;
        }
        let (severity, more) = match numbered(&path) {
            true => (Severity::Warning, "; only its generation holds it, until that is pruned"),
            false => (Severity::Error, "; the next garbage collection takes it"),
        };
        let there = match root {
            Some(root) => format!("{ROOTS}/{name} -> {root}"),
            None => format!("{ROOTS}/{name} is missing"),
        };
        let mend =
            list.typed.there(&[format!("mkdir -p {ROOTS}"), format!("ln -sfn {target} {ROOTS}/{name}")]);
        let what = format!("no root of microvm.nix holds what `{link}` points to{more}");
        list.add(severity, Trap::RootMissing, one.place(), what, there, mend);
    }
}

fn generations(one: &One<'_>, found: &Found, list: &mut Findings<'_>) {
    let vm = one.name;
    for (number, path) in &found.generations {
        if one.there.exam.lost.iter().any(|lost| lost == path.as_str()) {
            list.warning(
                Trap::GenerationLost,
                one.place(),
                format!("generation {number} is not in the store: a rollback to it is not possible"),
                format!("{vm}-{number}-link -> {path}"),
                list.typed.once(format!("rm /var/lib/deployvm/profiles/{vm}-{number}-link")),
            );
        }
    }
    // One that deployvm never touched is adopted with the first push.
    let Some(staged) = found.staged().filter(|_| found.current_valid && !found.generations.is_empty()) else {
        return;
    };
    if !found.generations.iter().any(|(_, path)| *path == staged) {
        list.warning(
            Trap::NoGeneration,
            one.place(),
            "what is staged is none of its generations: somebody has staged it without deployvm",
            format!("current -> {staged}"),
            list.typed.deployvm(&format!("push {vm}")),
        );
    }
}

/// What such a reference looks like.
const EXAMPLE: &str = "git+https://example.org/infra";

/// The `flake` file, which only the `microvm` command reads.
fn flake(one: &One<'_>, found: &Found, list: &mut Findings<'_>) {
    if found.mode == Mode::HostOwned {
        return;
    }
    let vm = one.name;
    let file = format!("{STATE}/{vm}/flake");
    let mend = match one.there.flake {
        Some(flake) => list.typed.write(flake, &file, false),
        None => format!(
            "nothing, where only deployvm deploys: no command of it reads or changes the file of a VM that is there\n\
             for `microvm -u`, give it a reference that the hypervisor can fetch: `{}`\n\
             for VMs to come, say the same in deployvm.toml:\n{}",
            list.typed.write(EXAMPLE, &file, false),
            list.typed.setting(one.there.name, "flake", EXAMPLE)
        )
        .into(),
    };
    let Some(text) = &found.flake else {
        let what = "it has no `flake` file: `microvm -u` cannot work on it, and `microvm -l` ends there";
        list.warning(Trap::FlakeMissing, one.place(), what, format!("{file} is missing"), mend);
        return;
    };
    if let Some(why) = unusable(text, one.exam.flake_there) {
        let what = format!("`microvm -u` and `microvm -l` cannot use its `flake` file: {why}");
        // A push wrote this, as well as it could. Nobody has said that the microvm command is
        // to work, and it would say so itself.
        let severity = match one.there.flake {
            None if found.generation.is_some() => Severity::Note,
            _ => Severity::Warning,
        };
        list.add(severity, Trap::FlakeUnusable, one.place(), what, format!("flake: {text}"), mend);
    }
}

/// Why a hypervisor can make nothing of a flake reference; `None` when it may be usable,
/// which for what lies elsewhere only Nix could tell.
fn unusable(text: &str, is_there: bool) -> Option<&'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.starts_with("/nix/store/") || text.starts_with("path:/nix/store/") {
        return Some("it names a copy in the store, which never changes");
    }
    let local = ["/", "path:/", "git+file:/", "file:/"].iter().any(|start| text.starts_with(start));
    if local {
        return (!is_there)
            .then_some("what it names is not on the hypervisor, as a laptop's own directory is not");
    }
    let scheme = text.split(['?', '#']).next().unwrap_or_default().split_once(':');
    if text.starts_with(['.', '~']) || matches!(scheme, Some(("path" | "git+file", _))) {
        return Some("it is relative to nobody's directory");
    }
    // Nix takes `a/b` for the entry `a` of a registry.
    (scheme.is_none() && text.contains('/')).then_some("without a scheme, Nix looks it up in a registry")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_a_hypervisor_can_use() {
        for fine in [
            "git+https://example.org/me/infra.git",
            "github:me/infra",
            "git+ssh://root@hv/~/infra.git?ref=main",
            "infra",
            "flake:infra",
        ] {
            assert_eq!(unusable(fine, false), None, "{fine}");
        }
        for bad in [
            "",
            "  \n",
            "/home/me/infra",
            "git+file:///home/me/infra",
            "path:/home/me/infra?dir=x",
            ".",
            "./x",
            "~/infra",
            "path:./x",
            "git+file:infra",
            "root/infra",
            "/nix/store/0-source",
        ] {
            assert!(unusable(bad, false).is_some(), "{bad}");
        }
        assert_eq!(unusable("git+file:///root/infra", true), None);
        assert!(unusable("/nix/store/0-source", true).is_some());
    }
}
