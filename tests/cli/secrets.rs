//! What must not become an argument of another program, or a line in a record.

use crate::flake;

#[test]
fn a_password_in_a_url_becomes_no_argument() {
    let place = flake("");
    for typed in [
        &["--flake", "git+https://me:hunter2@git.invalid/infra"][..],
        &["--flake", "https://hunter2@git.invalid/infra.tar.gz"],
        &["--override-input", "nixpkgs", "git+ssh://git:hunter2@git.invalid/x"],
    ] {
        for verb in ["plan", "push", "status", "doctor"] {
            let said = place.run(&[&[verb, "-H", "local"], typed].concat(), &[]);
            assert!(said.starts_with("exit 2\n") && said.contains("netrc-file"), "{said}");
            assert!(said.contains(typed[0]) && !said.contains("hunter2"), "{said}");
        }
    }
    let checked = flake("[vms.vm1.checks.web]\nhttp = \"http://me:hunter2@10.1.0.2/\"");
    for verb in ["config", "plan"] {
        let said = checked.run(&[verb, "-H", "local"], &[]);
        assert!(said.starts_with("exit 2\n") && said.contains("vms.vm1.checks.web.http"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    // The name of an account is none.
    let said = place.run(&["plan", "-H", "local", "--flake", "git+ssh://git@127.0.0.1:1/infra"], &[]);
    assert!(!said.contains("netrc-file"), "{said}");
}
