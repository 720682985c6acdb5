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
            "error:\n       … while calling the 'import' builtin\n         at /w/flake/flake.nix:20:13:\n           20|     undef = import ./x.nix;\n             |             ^\n\n       error: Path 'x.nix' does not exist in Git repository \"/w/flake\".",
            "x.nix",
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
        ("error: getting status of \"/w/nowhere\": No such file or directory", NoFlake),
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
            "error: experimental Nix feature 'nix-command' is disabled; add '--extra-experimental-features nix-command' to enable it",
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
            "error:\n       … This command may have been run as non-root in a single-user Nix installation,\n       or the Nix daemon may have crashed.\n\n       error: opening lock file \"/nix/var/nix/db/big-lock\": Permission denied",
            NoStore,
        ),
        (
            "error: could not set permissions on '/nix/var/nix/profiles/per-user' to 755: Operation not permitted",
            NoStore,
        ),
        ("error: writing to file: No space left on device", NoSpace),
        ("error: write of 65536 bytes: No space left on device", NoSpace),
        ("error: unable to download 'https://x': Couldn't resolve host name (6)", Offline),
        (
            "error: unable to download 'https://x': Could not resolve hostname (6) Could not resolve host: x",
            Offline,
        ),
        ("error: current Nix store schema is version 11, but I only support 10", StoreFormat),
        (
            "error: lock file '/nix/store/a1d4km6hwpr6md2yqjyvs8xcncm76gsp-source//flake.lock' has unsupported version 8",
            LockFormat,
        ),
        (
            "error:\n       … while updating the lock file of flake 'git+file:///w/f'\n\n       error: lock file '/w/f/flake.lock' has unsupported version 8",
            LockFormat,
        ),
        (
            "error: cannot add path '/nix/store/9171q905m16s1822003315jp32jdrbsk-lib-1.0' because it lacks a valid signature",
            Unsigned,
        ),
        (
            "error: cannot add path '/nix/store/9171q905m16s1822003315jp32jdrbsk-lib-1.0' because it lacks a signature by a trusted key",
            Unsigned,
        ),
    ] {
        assert_eq!(read(text).known, Some(known), "{text}");
    }
    assert_eq!(
        read("fatal: detected dubious ownership in repository at '/v'\nerror: program 'git' failed with exit code 128").headline,
        "git: detected dubious ownership in repository at '/v'"
    );
}

/// What Nix 2.8 says of newer flakes; 2.34 evaluates both.
#[test]
fn names_the_version_that_a_flake_needs() {
    let warn = "error: attribute 'warn' missing

       at /nix/store/9f63p3r4zn53sdy0h7fc019gk7dzmdp2-source/flake.nix:24:13:

           23|     fetch = 1;
           24|     warns = builtins.warn \"careful\" 1;
             |             ^
           25|     other = 2;
";
    assert_eq!(read(warn).known.unwrap().help(), "`builtins.warn` needs Nix 2.23 or later here");
    // Somebody's own set.
    assert_eq!(read(&warn.replace("builtins.warn", "mylib.warn")).known, None);
    let input = |name: &str| {
        format!(
            "error: unexpected flake input attribute '{name}', at /nix/store/lj4svqdb0j7vwmsak9dd47pdzkrn2w1y-source/flake.nix:1:3"
        )
    };
    let help = read(&input("submodules")).known.unwrap().help();
    assert_eq!(help, "`inputs.self.submodules` needs Nix 2.27 or later here");
    assert_eq!(read(&input("foo")).known, None);
    let nixpkgs = "error:
       … while calling the 'abort' builtin
         at /nix/store/9f63p3r4zn53sdy0h7fc019gk7dzmdp2-source/default.nix:18:3:

       error: evaluation aborted with the following error message: '
       This version of Nixpkgs requires Nix >= 2.18, please upgrade:

       - If you are running NixOS, `nixos-rebuild' can be used to upgrade your system.
       '
";
    for text in [nixpkgs, &nixpkgs.replacen("error:\n", "", 1)] {
        let message = read(text);
        assert_eq!(message.headline, "This version of Nixpkgs requires Nix >= 2.18, please upgrade:");
        assert_eq!(message.known.unwrap().help(), "this nixpkgs needs Nix 2.18 or later here");
    }
    let lock = read("error: lockfile contains mutable lock '{\"path\":\"./sub\",\"type\":\"path\"}'");
    assert!(lock.known.unwrap().help().contains("needs Nix 2.26"));
    assert!(read("error: 'file:///w/we ird' is not a valid URL").known.unwrap().help().contains("Nix 2.19"));
}

/// 2.8 says `unexpected end-of-file` where later versions guess that the daemon crashed,
/// and 2.26 forgets the host.
#[test]
fn a_connection_that_fails_says_why() {
    let end = "unexpected end-of-file";
    let crashed = "Nix daemon disconnected unexpectedly (maybe it crashed?)";
    for (host, why) in [("hv", end), ("", crashed), ("hv", crashed)] {
        let said = |before: &str| {
            read(&format!(
                "{before}\n\u{1b}[31;1merror:\u{1b}[0m cannot open connection to remote store 'ssh-ng://{host}': \u{1b}[31;1merror:\u{1b}[0m {why}"
            ))
        };
        let denied = said("root@hv: Permission denied (publickey).");
        assert!(denied.headline.ends_with(&format!("'ssh-ng://{host}': error: {why}")), "{denied:?}");
        assert_eq!(denied.details, ["root@hv: Permission denied (publickey)."]);
        assert_eq!(denied.known, None);
        assert_eq!(said("bash: line 1: nix-daemon: command not found").known, Some(Known::NoDaemon));
        assert_eq!(said("sh: 1: nix-daemon: not found").known, Some(Known::NoDaemon));
        assert_eq!(said("env: 'nix-daemon': No such file or directory").known, Some(Known::NoDaemon));
    }
    let refused = read(
        "ssh: connect to host 127.0.0.1 port 9: Connection refused\nerror: failed to start SSH connection to '127.0.0.1'",
    );
    assert_eq!(refused.details, ["ssh: connect to host 127.0.0.1 port 9: Connection refused"]);
    let chatty = "error: cannot open connection to remote store 'ssh-ng://hv': error: protocol mismatch, got 'Welcome to hv!'";
    assert_eq!(read(chatty).known, Some(Known::Chatty));
}

/// One fault, as 2.8 and as 2.26 and 2.34 tell it.
#[test]
fn the_same_fault_in_other_words() {
    for (text, headline) in [
        (
            "error: assertion '(1 == 2)' failed\n\n       at /nix/store/9f63p3r4zn53sdy0h7fc019gk7dzmdp2-source/flake.nix:16:17:\n\n           16|     assertion = assert 1 == 2; 1;\n             |                 ^\n",
            "assertion '(1 == 2)' failed",
        ),
        (
            "error:\n       … while evaluating the condition of the assertion '(1 == 2)'\n         at /w/flake/flake.nix:16:17:\n           16|     assertion = assert 1 == 2; 1;\n             |                 ^\n\n       error: an integer with value '1' is not equal to an integer with value '2'",
            "an integer with value '1' is not equal to an integer with value '2'",
        ),
        (
            "error: anonymous function at /nix/store/9f63p3r4zn53sdy0h7fc019gk7dzmdp2-source/flake.nix:19:19 called with unexpected argument 'b'\n\n       at /nix/store/9f63p3r4zn53sdy0h7fc019gk7dzmdp2-source/flake.nix:19:18:\n\n           19|     unexpected = ({ a }: a) { a = 1; b = 2; };\n             |                  ^\n       Did you mean a?\n",
            "anonymous function at /nix/store/9f63p3r4zn53sdy0h7fc019gk7dzmdp2-source/flake.nix:19:19 called with unexpected argument 'b'",
        ),
        (
            "error:\n       … from call site\n         at /w/flake/flake.nix:19:18:\n           19|     unexpected = ({ a }: a) { a = 1; b = 2; };\n             |                  ^\n\n       error: function 'anonymous lambda' called with unexpected argument 'b'\n       at /w/flake/flake.nix:19:19:\n           19|     unexpected = ({ a }: a) { a = 1; b = 2; };\n             |                   ^\n       Did you mean a?",
            "function 'anonymous lambda' called with unexpected argument 'b'",
        ),
        (
            "error: builder for '/nix/store/cn43gi7sp0b34y2i4j4lqdkynsh9jj7a-dep-1.0.drv' failed with exit code 3;\n       last 2 log lines:\n       > broken\n       > again\n       For full logs, run 'nix log /nix/store/cn43gi7sp0b34y2i4j4lqdkynsh9jj7a-dep-1.0.drv'.\n(use '--show-trace' to show detailed location information)",
            "builder for '/nix/store/cn43gi7sp0b34y2i4j4lqdkynsh9jj7a-dep-1.0.drv' failed with exit code 3;",
        ),
        (
            "error:\n       … while realising the context of path '/nix/store/dp9g2ysl7yg9q9nj61dzhn7h067y1sfy-dep-1.0'\n\n       error: Cannot build '/nix/store/cn43gi7sp0b34y2i4j4lqdkynsh9jj7a-dep-1.0.drv'.\n       Reason: builder failed with exit code 3.\n       Output paths:\n         /nix/store/dp9g2ysl7yg9q9nj61dzhn7h067y1sfy-dep-1.0\n       Last 2 log lines:\n       > broken\n       > again\n",
            "Cannot build '/nix/store/cn43gi7sp0b34y2i4j4lqdkynsh9jj7a-dep-1.0.drv'.",
        ),
    ] {
        let message = read(text);
        assert_eq!(message.headline, headline);
        assert_eq!(message.known, None);
        let shown = message.text();
        assert!(["16:17", "value '2'", "19:1", "> again"].iter().any(|w| shown.contains(w)), "{shown}");
    }
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
    fn never_panics(text in "(error:|fatal: |'|-source/|/nix/store/|path '|\\n| |(?s:.)){0,40}") {
        let message = read(&text);
        let _ = (message.text(), message.failure("x"));
    }
}
