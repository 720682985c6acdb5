//! What is said in a pipeline, and kept of it, without a hypervisor.

use crate::place;

#[test]
fn a_failure_on_github_is_annotated_and_summarised() {
    let here = place(&[]);
    let page = here.0.path().join("new/page.md");
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_STEP_SUMMARY", page.to_str().unwrap()),
        ("DEPLOYVM_SSH_KEY", "secret"),
    ];
    insta::assert_snapshot!(here.run(&["status", "--no-eval", "-H", "root@hv"], &variables), @"
    exit 2
    --- stdout
    --- stderr
      × DEPLOYVM_SSH_KEY holds no private key of ssh
      help: give it the whole file, from -----BEGIN to -----END, with its line
            breaks
    ::error title=deployvm (exit 2)::DEPLOYVM_SSH_KEY holds no private key of ssh%0Agive it the whole file, from -----BEGIN to -----END, with its line breaks
    ");
    insta::assert_snapshot!(std::fs::read_to_string(&page).unwrap(), @"
    ### deployvm failed (exit 2)

    `DEPLOYVM_SSH_KEY holds no private key of ssh`

    <details open><summary>What happened</summary>

    ```text
      × DEPLOYVM_SSH_KEY holds no private key of ssh
      help: give it the whole file, from -----BEGIN to -----END, with its line breaks
    ```

    </details>
    ");
    // What is given by name, too; and what is typed begins no command.
    let said = here.run(&["history", "--summary", "own.md", "-H", "a\n::error::b"], &variables[..1]);
    assert!(said.contains("exit 2") && !said.contains("\n::error::b"), "{said}");
    let own = std::fs::read_to_string(here.0.path().join("own.md")).unwrap();
    assert!(own.starts_with("### deployvm failed (exit 2)\n"));
}
