//! Real pushes with the real hook and the real Nix: what it looks at, and what it lets
//! through. The hypervisor is never there, so that no push gets as far as a plan.

use std::process::Command;

use crate::place::{Output, Place};

const NO_WAY: &str = "cannot reach 127.0.0.1:1";

/// With the hook, and a store of its own for Nix.
fn installed(args: &[&str]) -> Place {
    let place = Place::new();
    install(&place, "repo", args).expect(0);
    place
}

fn install(place: &Place, dir: &str, args: &[&str]) -> Output {
    let store = place.text("store");
    let options = [["--option", "store", &store], ["--option", "build-users-group", ""]].concat();
    place.deployvm(dir, &[&["-H", "root@127.0.0.1:1"], &options[..], &["hook", "install"], args].concat())
}

fn commit(place: &Place, dir: &str, text: &str) {
    place.write(&format!("{dir}/flake.nix"), text);
    place.git(dir, &["commit", "-qam", "A change"]).expect(0);
}

const BROKEN: &str = "{ outputs = _: { nixosConfigurations = throw \"no, not this\"; }; }\n";

#[test]
fn the_commit_that_is_pushed_is_looked_at_and_not_the_working_tree() {
    let place = installed(&[]);
    // What is committed is good, and gets as far as the hypervisor.
    place.write("repo/flake.nix", BROKEN);
    let said = place.git("repo", &["push", "-q", "origin", "main"]).expect(1);
    said.says(NO_WAY)
        .says("deployvm: planning for main")
        .says("git push --no-verify, or DEPLOYVM_SKIP=1 git push");
    assert_eq!(said.stdout, "", "stdout is git's");
    // What is committed is bad.
    commit(&place, "repo", BROKEN);
    place.write("repo/flake.nix", "{ outputs = _: { nixosConfigurations = { }; }; }\n");
    let said = place.git("repo", &["push", "-q", "origin", "main"]).expect(1);
    said.says("no, not this").says("to push all the same");
    // Of an older commit, that one; and one that no branch has.
    let said = place.git("repo", &["push", "-q", "origin", "main~1:refs/heads/old"]).expect(1);
    said.says(NO_WAY);
    place.git("repo", &["checkout", "-qf", "--detach", "main~1"]).expect(0);
    place.git("repo", &["commit", "-q", "--allow-empty", "-m", "nobody's"]).expect(0);
    place.git("repo", &["push", "-q", "origin", "HEAD:refs/heads/detached"]).expect(1).says(NO_WAY);
    assert_eq!(place.git("remote.git", &["branch", "--list"]).stdout, "", "nothing was pushed");
}

#[test]
fn what_is_no_branch_with_a_flake_is_let_through() {
    let place = installed(&["--branch", "main", "--branch", "other/*"]);
    place.git("repo", &["tag", "v1"]).expect(0);
    place.git("repo", &["tag", "-a", "-m", "v2", "v2"]).expect(0);
    place.git("repo", &["push", "-q", "origin", "v1", "v2", "main:refs/notes/x"]).expect(0);
    // Nobody asked for that branch.
    place.git("repo", &["push", "-q", "origin", "main:feature"]).expect(0);
    place.git("repo", &["push", "-q", "origin", ":feature", ":v1"]).expect(0);
    place.git("repo", &["push", "-q", "origin", "main:other/x"]).expect(1).says("planning for other/x");
    place.git("repo", &["checkout", "-q", "--orphan", "pages"]).expect(0);
    place.git("repo", &["rm", "-qf", "flake.nix"]).expect(0);
    place.git("repo", &["commit", "-q", "--allow-empty", "-m", "pages"]).expect(0);
    let said = place.git("repo", &["push", "-q", "origin", "pages:other/pages"]).expect(0);
    said.says("other/pages has no flake.nix: it is not looked at");
    // Two branches of one commit are one plan.
    let both = ["push", "-q", "origin", "main", "main:other/y"];
    assert_eq!(place.git("repo", &both).expect(1).stderr.matches("planning for").count(), 1);
    let branches = place.git("remote.git", &["branch", "--list"]).expect(0).stdout;
    assert_eq!(branches.split_whitespace().collect::<Vec<_>>(), ["other/pages"]);
}

#[test]
fn the_settings_are_those_of_the_commit() {
    let place = Place::new();
    place.write("repo/infra/deployvm.toml", "hypervisor = \"root@127.0.0.1:2\"\n");
    place.write("repo/infra/flake.nix", "{ outputs = _: { nixosConfigurations = { }; }; }\n");
    place.git("repo", &["add", "."]).expect(0);
    place.git("repo", &["commit", "-qm", "infra"]).expect(0);
    let store = place.text("store");
    let options = ["--option", "store", &store, "--flake", "./infra", "hook", "install"];
    place.deployvm("repo", &options).expect(0);
    place.write("repo/infra/deployvm.toml", "no TOML at all");
    std::fs::remove_file(place.path("repo/infra/flake.nix")).unwrap();
    let push = ["push", "-q", "origin", "main"];
    place.git("repo", &push).expect(1).says("cannot reach 127.0.0.1:2");
    place.write("repo/infra/deployvm.toml", "hypervisr = \"x\"\n");
    place.git("repo", &["commit", "-qm", "wrong", "infra/deployvm.toml"]).expect(0);
    place.git("repo", &push).expect(1).says("unknown setting hypervisr in deployvm.toml");
    // What is said to `run` itself wins over both.
    let mut run = Command::new("sh");
    let line = place.line("repo", "main~1", "main");
    run.args(["-c", "printf %s \"$1\" | \"$2\" -H root@127.0.0.1:3 hook run origin url", "sh", &line]);
    run.arg(env!("CARGO_BIN_EXE_deployvm"));
    place.run("repo", run).expect(11).says("cannot reach 127.0.0.1:3");
}

#[test]
fn in_worktrees_submodules_shallow_clones_and_bare_repositories() {
    let place = Place::new();
    let said = |dir: &str, branch: &str| {
        let pushed = place.git(dir, &["push", "-q", "origin", &format!("{branch}:refs/heads/new")]).expect(1);
        pushed.says(NO_WAY);
    };
    place.git("repo", &["push", "-q", "origin", "main"]).expect(0);
    let change = |dir: &str| {
        place.git(dir, &["commit", "-q", "--allow-empty", "-m", dir]).expect(0);
    };
    install(&place, "repo", &[]).expect(0);
    place.git("repo", &["worktree", "add", "-q", "-b", "feature", "../tree"]).expect(0);
    change("tree");
    said("tree", "feature");
    // `--git-dir` is how hooks learn of a repository that is not around them.
    let dir = place.text("repo/.git");
    let away = ["--git-dir", &dir, "--work-tree", "home", "push", "-q", "origin", "feature:refs/heads/new"];
    place.git(".", &away).expect(1).says(NO_WAY);

    place.git(".", &["init", "-q", "super"]).expect(0);
    place.git("super", &["submodule", "add", "-q", &place.text("remote.git"), "part"]).expect(0);
    change("super/part");
    install(&place, "super/part", &[]).expect(0);
    said("super/part", "main");

    let url = format!("file://{}", place.text("remote.git"));
    place.git(".", &["clone", "-q", "--depth", "1", &url, "shallow"]).expect(0);
    change("shallow");
    install(&place, "shallow", &[]).expect(0);
    said("shallow", "main");

    place.git(".", &["clone", "-q", "--bare", "repo", "bare.git"]).expect(0);
    place.git("bare.git", &["config", "remote.origin.url", &place.text("remote.git")]).expect(0);
    install(&place, "bare.git", &[]).expect(0);
    said("bare.git", "feature");
    said("bare.git", "main~0");
}

#[test]
fn a_push_is_not_held_up_for_ever() {
    let place = installed(&["--limit", "1s"]);
    let slow = "{ outputs = _: let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in \
                { nixosConfigurations = builtins.seq (f 50) { }; }; }\n";
    commit(&place, "repo", slow);
    let said = place.git("repo", &["push", "-q", "origin", "main"]).expect(1);
    said.says("the plan was not ready after 1 s").says("--limit 10m");
}

#[test]
fn something_is_said_every_few_seconds() {
    let place = installed(&["--limit", "14s"]);
    let slow = "{ outputs = _: let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in \
                { nixosConfigurations = builtins.seq (f 50) { }; }; }\n";
    commit(&place, "repo", slow);
    let said = place.git("repo", &["push", "-q", "origin", "main"]).expect(1);
    said.says("still at work");
}

#[test]
fn run_is_for_git() {
    let place = Place::new();
    let run = |lines: &str| {
        let mut run = Command::new("sh");
        run.args(["-c", "printf %s \"$1\" | \"$2\" hook run", "sh", lines, env!("CARGO_BIN_EXE_deployvm")]);
        place.run("repo", run)
    };
    run("").expect(0);
    run("\n").expect(0);
    run("main to origin\n").expect(2).says("git does not say of a push").says("LOCAL-REF OBJECT");
    place.install("repo").expect(0);
    place.write("repo/.git/deployvm/hook.json", "{\"hypervisr\":1}");
    run("").expect(2).says("hook.json is not what").says("run `deployvm hook install` again");
}
