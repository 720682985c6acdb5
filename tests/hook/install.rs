//! Where the hook goes, and that it leaves no trace.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::place::Place;

/// Installs, pushes, uninstalls: what was there runs first, then deployvm with the same
/// words, and in the end all is as before.
#[track_caller]
fn there_and_back(place: &Place, dir: &str, hooks: &str, git_dir: &str, before: Option<&str>) {
    let (files, git_files) = (place.files(hooks), place.files(&format!("{git_dir}/deployvm")));
    place.install(dir).expect(0);
    place.pretend(git_dir);
    let branch = place.git(dir, &["branch", "--show-current"]).stdout.trim().to_owned();
    // A name that the remote does not have yet.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let there = format!("b{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let lines = place.line(dir, &branch, &there);
    place.git(dir, &["push", "-q", "origin", &format!("{branch}:{there}")]).expect(0);
    let url = place.text("remote.git");
    assert_eq!(place.recorded("deployvm").unwrap(), format!("hook run -- origin {url}\n{lines}"));
    if let Some(before) = before {
        assert_eq!(place.recorded(before).unwrap(), format!("origin {url}\n{lines}"));
    }
    assert_eq!(place.git(dir, &["status", "--porcelain"]).stdout.matches("pre-push.legacy").count(), 0);
    place.uninstall(dir).expect(0);
    assert_eq!(place.files(hooks), files);
    assert_eq!(place.files(&format!("{git_dir}/deployvm")), git_files);
    assert!(!place.path(&format!("{git_dir}/deployvm")).exists());
    place.git(dir, &["push", "-q", "origin", &format!("{branch}:{there}-after")]).expect(0);
    assert_eq!(place.recorded("deployvm"), None);
    assert_eq!(place.recorded(before.unwrap_or("nobody")).is_some(), before.is_some());
}

#[test]
fn where_there_is_nothing() {
    let place = Place::new();
    there_and_back(&place, "repo", "repo/.git/hooks", "repo/.git", None);
    // Not even the directory.
    std::fs::remove_dir_all(place.path("repo/.git/hooks")).unwrap();
    there_and_back(&place, "repo", "repo/.git/hooks", "repo/.git", None);
}

#[test]
fn before_a_hook_that_is_there() {
    let place = Place::new();
    place.hook("repo/.git/hooks/pre-push", "own", 0);
    there_and_back(&place, "repo", "repo/.git/hooks", "repo/.git", Some("own"));
    // A link to a script elsewhere stays one.
    std::fs::remove_file(place.path("repo/.git/hooks/pre-push")).unwrap();
    place.hook("repo/.git/own.sh", "own", 0);
    std::os::unix::fs::symlink("../own.sh", place.path("repo/.git/hooks/pre-push")).unwrap();
    there_and_back(&place, "repo", "repo/.git/hooks", "repo/.git", Some("own"));
}

#[test]
fn a_hook_that_says_no_still_says_no() {
    let place = Place::new();
    place.hook("repo/.git/hooks/pre-push", "own", 3);
    place.install("repo").expect(0);
    place.pretend("repo/.git");
    place.git("repo", &["push", "-q", "origin", "main"]).expect(1);
    assert_eq!((place.recorded("own").is_some(), place.recorded("deployvm")), (true, None));
    // And so does ours.
    place.hook("repo/.git/hooks/pre-push.before-deployvm", "own", 0);
    place.hook("stand-in", "deployvm", 4);
    place.git("repo", &["push", "-q", "origin", "main"]).expect(1);
    assert_eq!((place.recorded("own").is_some(), place.recorded("deployvm").is_some()), (true, true));
}

#[test]
fn the_ways_out() {
    let place = Place::new();
    place.hook("repo/.git/hooks/pre-push", "own", 0);
    place.install("repo").expect(0);
    place.pretend("repo/.git");
    let mut skip = std::process::Command::new("env");
    skip.args(["DEPLOYVM_SKIP=1", "git", "push", "-q", "origin", "main"]);
    place.run("repo", skip).expect(0).says("left out, as DEPLOYVM_SKIP says");
    assert_eq!((place.recorded("own").is_some(), place.recorded("deployvm")), (true, None));
    place.git("repo", &["push", "-q", "--no-verify", "origin", "main:x"]).expect(0);
    assert_eq!((place.recorded("own"), place.recorded("deployvm")), (None, None));
    // The program is gone: said, with the way out.
    place.write("repo/.git/deployvm/program", "/nowhere/deployvm");
    let said = place.git("repo", &["push", "-q", "origin", "main:y"]);
    if which::which("deployvm").is_err() {
        said.expect(1).says("/nowhere/deployvm").says("DEPLOYVM_SKIP=1 git push");
    }
}

#[test]
fn one_that_git_would_not_run_is_not_run() {
    let place = Place::new();
    place.hook("repo/.git/hooks/pre-push", "own", 3);
    place.mode("repo/.git/hooks/pre-push", 0o644);
    let files = place.files("repo/.git/hooks");
    place.install("repo").expect(0);
    place.pretend("repo/.git");
    place.git("repo", &["push", "-q", "origin", "main"]).expect(0);
    assert_eq!((place.recorded("own"), place.recorded("deployvm").is_some()), (None, true));
    place.uninstall("repo").expect(0);
    assert_eq!(place.files("repo/.git/hooks"), files);
}

#[test]
fn hooks_elsewhere() {
    // In the working tree, wherever one is in it.
    let place = Place::new();
    place.git("repo", &["config", "core.hooksPath", ".githooks"]).expect(0);
    place.hook("repo/.githooks/pre-push", "own", 0);
    place.write("repo/sub/x", "");
    let said = place.install("repo/sub").expect(0);
    said.says("is a part of the working tree");
    place.uninstall("repo/sub").expect(0);
    there_and_back(&place, "repo", "repo/.githooks", "repo/.git", Some("own"));
    // Nowhere.
    place.git("repo", &["config", "core.hooksPath", "/dev/null"]).expect(0);
    place.install("repo").expect(12).says("core.hooksPath is /dev/null, which is no directory");
    place.git("repo", &["config", "core.hooksPath", ""]).expect(0);
    place.install("repo").expect(2).says("core.hooksPath is \"\"");
}

#[test]
fn hooks_that_all_repositories_share() {
    let place = Place::new();
    let (hooks, home) = ("home/hooks", place.text("home/hooks"));
    place.hook("home/hooks/pre-push", "own", 0);
    place.git("repo", &["config", "--global", "core.hooksPath", "~/hooks"]).expect(0);
    let files = place.files(hooks);
    there_and_back(&place, "repo", hooks, "repo/.git", Some("own"));
    place.install("repo").expect(0).says(&format!("{home} is where other repositories have their hooks"));
    place.pretend("repo/.git");
    // In another repository it does nothing, but for what was there before.
    place.git("repo", &["push", "-q", "--no-verify", "origin", "main"]).expect(0);
    place.git(".", &["clone", "-q", "remote.git", "other"]).expect(0);
    place.git("other", &["push", "-q", "origin", "HEAD:other"]).expect(0);
    assert_eq!((place.recorded("own").is_some(), place.recorded("deployvm")), (true, None));
    // Whoever comes last takes it away.
    place.install("other").expect(0);
    assert!(place.uninstall("repo").expect(0).stdout.contains("stays for"));
    place.pretend("other/.git");
    place.git("other", &["push", "-q", "origin", "HEAD:again"]).expect(0);
    assert_eq!((place.recorded("own").is_some(), place.recorded("deployvm").is_some()), (true, true));
    place.uninstall("other").expect(0);
    assert_eq!(place.files(hooks), files);
}

#[test]
fn worktrees_submodules_and_bare_repositories() {
    let place = Place::new();
    // A working tree of its own; all share the hook.
    place.git("repo", &["worktree", "add", "-q", "-b", "feature", "../tree"]).expect(0);
    place.git("tree", &["commit", "-q", "--allow-empty", "-m", "feature"]).expect(0);
    there_and_back(&place, "tree", "repo/.git/hooks", "repo/.git", None);
    // A submodule.
    place.git("repo", &["push", "-q", "origin", "main"]).expect(0);
    place.git(".", &["init", "-q", "super"]).expect(0);
    place.git("super", &["submodule", "add", "-q", &place.text("remote.git"), "part"]).expect(0);
    place.git("super/part", &["checkout", "-q", "-b", "sub"]).expect(0);
    place.git("super/part", &["commit", "-q", "--allow-empty", "-m", "sub"]).expect(0);
    place.hook("super/.git/modules/part/hooks/pre-push", "own", 0);
    there_and_back(
        &place,
        "super/part",
        "super/.git/modules/part/hooks",
        "super/.git/modules/part",
        Some("own"),
    );
    assert!(!place.path("super/.git/hooks/pre-push").exists());
    // A bare one, by itself and with a working tree.
    place.git(".", &["clone", "-q", "--bare", "repo", "bare.git"]).expect(0);
    place.git("bare.git", &["config", "remote.origin.url", &place.text("remote.git")]).expect(0);
    place.install("bare.git").expect(0);
    place.pretend("bare.git");
    place.git("bare.git", &["push", "-q", "origin", "main:bare"]).expect(0);
    assert!(place.recorded("deployvm").is_some());
    place.uninstall("bare.git").expect(0);
    assert_eq!(place.files("bare.git/hooks").len(), 0);
    place.git("bare.git", &["worktree", "add", "-q", "-b", "beside", "../beside"]).expect(0);
    place.git("beside", &["commit", "-q", "--allow-empty", "-m", "beside"]).expect(0);
    there_and_back(&place, "beside", "bare.git/hooks", "bare.git", None);
}

#[test]
fn installing_again_changes_what_was_said_and_nothing_else() {
    let place = Place::new();
    place.hook("repo/.git/hooks/pre-push", "own", 0);
    let before = place.files("repo/.git/hooks");
    place.install("repo").expect(0);
    let files = place.files("repo/.git/hooks");
    let said = ["--env", "x y", "-q", "hook", "install", "vm1", "@web", "--branch", "main", "--limit", "90s"];
    place.deployvm("repo", &said).expect(0);
    assert_eq!(place.files("repo/.git/hooks"), files);
    let kept: serde_json::Value = serde_json::from_str(&place.read("repo/.git/deployvm/hook.json")).unwrap();
    assert_eq!((&kept["hypervisor"], &kept["env"]), (&serde_json::Value::Null, &"x y".into()));
    assert_eq!(
        (&kept["vms"][1], &kept["branches"][0], &kept["limit"]),
        (&"@web".into(), &"main".into(), &90.into())
    );
    place.uninstall("repo").expect(0);
    assert_eq!(place.files("repo/.git/hooks"), before);
    place.uninstall("repo").expect(0);
    assert_eq!(place.files("repo/.git/hooks"), before);
}

#[test]
fn what_somebody_changed_meanwhile_is_left() {
    let place = Place::new();
    place.hook("repo/.git/hooks/pre-push", "own", 0);
    place.install("repo").expect(0);
    // Our hook.
    let changed = place.read("repo/.git/hooks/pre-push") + "# mine\n";
    place.write("repo/.git/hooks/pre-push", &changed);
    place.install("repo").expect(0).says("has changes of yours, and stays as it is");
    let said = place.uninstall("repo").expect(12);
    said.says("was changed since it was installed").says("does nothing here any more");
    assert_eq!(place.read("repo/.git/hooks/pre-push"), changed);
    place.git("repo", &["push", "-q", "origin", "main"]).expect(0);
    assert!(place.recorded("own").is_some(), "what was there before still runs");

    // A hook of their own in place of ours.
    let place = Place::new();
    place.hook("repo/.git/hooks/pre-push", "own", 0);
    place.install("repo").expect(0);
    place.hook("repo/.git/hooks/pre-push", "other", 0);
    place.install("repo").expect(12).says("is left from before, and another hook is in its place now");
    let said = place.uninstall("repo").expect(12);
    said.says("was there before").says("is somebody else's now");
    assert!(place.read("repo/.git/hooks/pre-push").contains("other"));
    assert!(place.read("repo/.git/hooks/pre-push.before-deployvm").contains("own"));

    // Ours taken away by hand: what was there gets its name back.
    let place = Place::new();
    place.hook("repo/.git/hooks/pre-push", "own", 0);
    let files = place.files("repo/.git/hooks");
    place.install("repo").expect(0);
    std::fs::remove_file(place.path("repo/.git/hooks/pre-push")).unwrap();
    place.uninstall("repo").expect(0);
    assert_eq!(place.files("repo/.git/hooks"), files);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = Place::new();
    let install = |dir: &str, args: &[&str]| place.deployvm(dir, &[&["hook", "install"], args].concat());
    install(".", &[]).expect(2).says("is in no git repository");
    install("repo", &["--flake", "github:a/b"]).expect(2).says("at the commits of this repository");
    install("repo", &["--deploy", "[x"]).expect(2).says("is not a valid glob");
    install("repo", &["--branch", "[x"]).expect(2).says("is not a valid glob");
    let secret = ["--option", "access-tokens", "github.com=geheim"];
    install("repo", &secret).expect(2).says("access-tokens has a password or token");
    std::fs::create_dir(place.path("repo/elsewhere")).unwrap();
    place.git(".", &["init", "-q", "empty"]).expect(0);
    install("empty", &[]).expect(2).says("no flake of this repository");
    assert!(!place.path("repo/.git/deployvm").exists() && !place.path("repo/.git/hooks/pre-push").exists());
}
