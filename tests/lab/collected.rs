//! What ran before is no longer in the store, although it was rooted: there is nothing to
//! go back to, and that is said before and after.

use serde_json::Value;

use crate::harness::{HYPERVISOR, Lab, Pushed};

fn verb(lab: &Lab, args: &[&str]) -> Pushed {
    Pushed(lab.laptop(&[&["deployvm"], args, &["-H", HYPERVISOR, "--yes", "--json"]].concat()))
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Panics unless these are the texts, each by a part of it, and in this order.
#[track_caller]
fn are(list: &Value, parts: &[&str]) {
    let all = texts(list);
    assert_eq!(all.len(), parts.len(), "{all:#?}");
    for (text, part) in all.iter().zip(parts) {
        assert!(text.contains(part), "{part}: {all:#?}");
    }
}

#[test]
fn a_bad_one_in_the_place_of_what_was_collected() {
    let lab = Lab::deployed(&[]);
    lab.edit_vm("vm2", r#"version = "2";"#);
    lab.push(&["vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 2");
    let (old, other) = (lab.vm("vm2"), lab.vm("vm1"));
    let runner = old.booted.clone().unwrap();
    lab.hv(&format!("nix-store --delete --ignore-liveness {runner} 2>&1")).expect(0);
    assert!(!lab.disk(&runner).exists(), "it is gone");

    lab.edit_vm("vm2", r#"version = "3"; fault = "exit";"#);
    let pushed = lab.push(&["vm2"]).expect(40);
    let warning = "vm2: the runner that it booted is no longer in the hypervisor's store: there is nothing to go back to";
    are(&pushed.events("plan")[0]["warnings"], &[warning]);
    let said = pushed.vm_is("vm2", "failed", 40);
    assert_eq!(said["reason"], "process-exited", "{said}");
    let detail = said["detail"].as_str().unwrap();
    for part in ["nothing runs", "is staged, but not in the store"] {
        assert!(detail.contains(part), "{said}");
    }
    are(
        &said["todo"],
        &[
            "ssh root@10.99.0.2 journalctl -n 50 -u microvm@vm2",
            "put the cause right",
            "go to another generation: deployvm rollback vm2 --to 1, then deployvm start vm2",
        ],
    );
    let entry = lab.last_entry("vm2");
    assert_eq!(
        (&entry["verb"], &entry["result"], &entry["reason"]),
        (&"push".into(), &"failed".into(), &"process-exited".into()),
        "{entry}"
    );
    // No number for what never worked, and the other VM was not touched.
    let now = lab.vm("vm2");
    assert_eq!((now.generation, now.generations), (old.generation, old.generations));
    assert_eq!(lab.vm("vm1"), other);
    lab.tidy();

    // The last of these steps helps, and so does something good.
    verb(&lab, &["rollback", "vm2", "--to", "1"]).expect(0);
    verb(&lab, &["start", "vm2"]).expect(0);
    lab.answers("vm2", "vm2 version 1");
    lab.edit_vm("vm2", r#"version = "4"; fault = null;"#);
    let said = lab.push(&["vm2"]).expect(0).vm_is("vm2", "deployed", 0);
    lab.answers("vm2", "vm2 version 4");
    lab.vm("vm2").runs(&lab, said["to"].as_str().unwrap());
    lab.tidy();
}
