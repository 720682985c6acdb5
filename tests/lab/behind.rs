//! A wish that is behind what runs: refused, unless it is meant.

use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::Running;

/// deployvm in another directory of the laptop.
fn there(lab: &Lab, directory: &str, args: &[&str]) -> Pushed {
    let mut command = lab.command(&[&["deployvm"], args, &["-H", HYPERVISOR, "--yes", "--json"]].concat());
    command.current_dir(lab.dir.join("home").join(directory));
    Pushed(Running::start(command, false).wait(300))
}

fn git(lab: &Lab, directory: &str, args: &[&str]) -> String {
    let directory = lab.dir.join("home").join(directory);
    let said = lab.laptop(&[&["git", "-C", directory.to_str().unwrap()], args].concat()).expect(0);
    said.stdout.trim().to_owned()
}

/// Commits another version in a clone.
fn edit(lab: &Lab, directory: &str, vm: &str, version: &str) {
    let file = lab.dir.join("home").join(directory).join(format!("vms/{vm}.nix"));
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.find("version = \"").unwrap() + "version = \"".len();
    let end = at + text[at..].find('"').unwrap();
    std::fs::write(file, format!("{}{version}{}", &text[..at], &text[end..])).unwrap();
    git(lab, directory, &["commit", "-qam", version]);
}

#[test]
fn a_wish_that_lacks_what_somebody_deployed_is_refused() {
    let lab = Lab::deployed(&[]);
    lab.edit_vm("vm2", r#"version = "1a";"#);
    lab.laptop(&["git", "clone", "-q", ".", "../other"]).expect(0);
    lab.edit_vm("vm2", r#"version = "2";"#);
    lab.push(&[]).expect(0);
    let commit = git(&lab, "infra", &["rev-parse", "HEAD"]);
    let (old, vm1) = (lab.vm("vm2"), lab.vm("vm1"));

    // The other has not fetched it: its repository does not even know that commit.
    edit(&lab, "other", "vm2", "x");
    for verb in ["push", "plan"] {
        let said = there(&lab, "other", &[verb]);
        assert_eq!(said.0.code, 12, "{}", said.0);
        said.0.says(&commit[..9]).says("deployed what runs at 20").says("root@").says("--force-behind");
    }
    // However long ago that was: there are some MiB of lines about others since.
    lab.hv(r#"line=$(grep '"vm":"vm1"' /var/lib/deployvm/ledger.jsonl | tail -n 1)
        yes "$line" | head -c 3000000 | sed '$d' >>/var/lib/deployvm/ledger.jsonl"#)
        .expect(0);
    let pushed = there(&lab, "other", &["push"]).expect(12);
    pushed.vm_is("vm2", "refused", 12);
    pushed.vm_is("vm1", "unchanged", 0);
    assert_eq!((lab.vm("vm2"), lab.vm("vm1")), (old, vm1));
    // A known commit that is not contained is the same.
    git(&lab, "other", &["fetch", "-q"]);
    there(&lab, "other", &["push", "vm2"]).expect(12).vm_is("vm2", "refused", 12);
    there(&lab, "other", &["push", "vm2", "--force-behind"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version x");

    // Now it is the first who is behind, until the other's work is merged.
    lab.push(&["vm2"]).expect(12).vm_is("vm2", "refused", 12);
    git(&lab, "infra", &["fetch", "-q", "../other", "main"]);
    git(&lab, "infra", &["merge", "-q", "-s", "ours", "-m", "Merge", "FETCH_HEAD"]);
    lab.push(&["vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");
}

#[test]
fn after_a_rollback_the_way_forward_is_open() {
    let lab = Lab::deployed(&[]);
    let first = git(&lab, "infra", &["rev-parse", "HEAD"]);
    lab.edit_vm("vm2", r#"version = "2";"#);
    lab.push(&["vm2"]).expect(0);
    there(&lab, "infra", &["rollback", "vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    let entry = lab.last_entry("vm2");
    assert_eq!((&entry["verb"], &entry["revision"]), (&"rollback".into(), &first.as_str().into()), "{entry}");
    // Forward: the wish contains what runs.
    lab.push(&["vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 2");
    // Backward by a push is what the guard is for; by a rollback it is meant.
    lab.push(&["vm2", "--rev", &first]).expect(12).vm_is("vm2", "refused", 12);
    lab.answers("vm2", "vm2 version 2");
    lab.push(&["vm2", "--rev", &first, "--force-behind"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 1");
    lab.tidy();
}
