//! Real complaints of Nix 2.8.0, 2.26.3 and 2.34.8.

use super::*;
use proptest::prelude::*;

#[test]
fn finds_the_real_message() {
    let v8 = "error: no way\n(use '--show-trace' to show detailed location information)\n";
    let v26 = "error:
       … while evaluating attribute 'drv'
         at «string»:108:5:
          107|   {
             |     ^

       (stack trace truncated; use '--show-trace' to show the full, detailed trace)

       \u{1b}[31;1merror:\u{1b}[0m no way
";
    for text in [v8, v26] {
        let message = read(text);
        assert_eq!(message.headline, "no way");
        assert!(message.details.is_empty() && message.known.is_none(), "{message:?}");
    }
}

#[test]
fn keeps_what_follows_the_message() {
    let assertions = "error:
       … while calling the 'head' builtin

       error:
       Failed assertions:
       - microvm.mem must be positive
       - The ‘fileSystems’ option does not specify your root file system.
";
    let message = read(assertions);
    assert_eq!(message.headline, "Failed assertions:");
    assert_eq!(message.details.len(), 2);
    assert_eq!(message.details[0], "- microvm.mem must be positive");
    let syntax = "warning: Git tree '/w/f' is dirty
error: syntax error, unexpected '}', expecting end of file

       at /nix/store/xcz4m2sia0w2535mxjhw925xmsg2nzcy-source/flake.nix:11:1:

           10| }
           11| }
             | ^
";
    let message = read(syntax);
    assert_eq!(message.known, Some(Known::Syntax));
    assert!(message.text().contains("flake.nix:11:1"), "{message:?}");
}

#[test]
fn names_the_file_that_git_does_not_know() {
    for (text, path) in [
        (
            "error: getting status of '/tmp/st/nix/store/8yqd8s1jfdijai9np4caals7grxq5nzq-source/x.nix': No such file or directory",
            "x.nix",
        ),
        (
            "error: path '/nix/store/8yqd8s1jfdijai9np4caals7grxq5nzq-source/a/x.nix' does not exist",
            "a/x.nix",
        ),
        (
            "error: Path 'extra.nix' in the repository \"/w/flake\" is not tracked by Git.\n\n       To make it visible to Nix, run:\n\n       git -C \"/w/flake\" add \"extra.nix\"",
            "extra.nix",
        ),
    ] {
        assert_eq!(read(text).known, Some(Known::Untracked(path.into())), "{text}");
    }
    // An input that is not there is something else.
    assert_eq!(read("error: path '//tmp/nonexist' does not exist").known, None);
}

#[test]
fn knows_the_well_known_ones() {
    use Known::*;
    for (text, known) in [
        (
            "path '/tmp' does not contain a 'flake.nix', searching up\nerror: could not find a flake.nix file",
            NoFlake,
        ),
        ("error: getting status of '/tmp/nodir': No such file or directory", NoFlake),
        ("error: Git repository \"/tmp/nodir\" does not exist.", NoFlake),
        (
            "error: path '/v' is not part of a flake (neither it nor its parent directories contain a 'flake.nix' file)",
            NoFlake,
        ),
        (
            "error: experimental Nix feature 'nix-command' is disabled; use '--extra-experimental-features nix-command' to override",
            FeatureOff,
        ),
        (
            "error: flake 'git+file:///w/f' does not provide attribute 'packages.x86_64-linux.A', 'legacyPackages.x86_64-linux.A' or 'A'",
            NoAttribute,
        ),
        ("error: lockfile contains mutable lock '{\"path\":\"./sub\",\"type\":\"path\"}'", MutableLock),
        ("error: opening Git repository \"/v\": repository path '/v' is not owned by current user", Owner),
        (
            "fatal: detected dubious ownership in repository at '/v'\nerror: program 'git' failed with exit code 128",
            Owner,
        ),
        ("usage: git diff --no-index [<options>]\n\nerror: program 'git' failed with exit code 129", Owner),
        ("error: 'file:///tmp/we ird' is not a valid URL", BadUrl),
        ("error: Cannot find Git revision '1111' in ref 'main' of repository '/v'!", NoRevision),
        ("error: getting Git object '1111': object not found - no match for id (1111)", NoRevision),
        ("error: the group 'nixbld' specified in 'build-users-group' does not exist", NoBuildUsers),
        ("error: opening lock file '/nix/var/nix/db/big-lock': Permission denied", NoStore),
        (
            "error: could not set permissions on '/nix/var/nix/profiles/per-user' to 755: Operation not permitted",
            NoStore,
        ),
        ("error: writing to file: No space left on device", NoSpace),
        ("error: unable to download 'https://x': Couldn't resolve host name (6)", Offline),
    ] {
        assert_eq!(read(text).known, Some(known), "{text}");
    }
    assert_eq!(
        read("fatal: detected dubious ownership in repository at '/v'\nerror: program 'git' failed with exit code 128").headline,
        "git: detected dubious ownership in repository at '/v'"
    );
}

#[test]
fn a_silent_death_is_told_too() {
    let killed = explain(&Output::default());
    assert_eq!(killed.known, Some(Known::Killed));
    let silent = explain(&Output { code: Some(3), ..Output::default() });
    assert_eq!(silent.headline, "nix exited with 3 and said nothing");
}

proptest! {
    #[test]
    fn never_panics(text in "(error:|fatal: |'|-source/|/nix/store/|path '|\\n| |\\PC){0,40}") {
        let message = read(&text);
        let _ = (message.text(), message.failure("x"));
    }
}
