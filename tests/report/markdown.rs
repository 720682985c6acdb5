//! What is appended to a pipeline's summary, and shown beside its log.

use deployvm::error::{Aftermath, Failure};
use deployvm::report::ci::Alarm;
use deployvm::report::markdown;

use crate::fixtures::{outcomes, plan, vm};

/// Without what can be unfolded: that is the text that is shown everywhere.
fn folded(page: &str) -> String {
    let (before, rest) = page.split_once("<details").unwrap();
    let (head, rest) = rest.split_once("```text\n").unwrap();
    let (text, after) = rest.split_once("\n```\n").unwrap();
    let lines = text.lines().count();
    format!("{before}<details{head}```text\n({lines} lines)\n```\n{}", after.trim_end())
}

#[test]
fn a_plan() {
    insta::assert_snapshot!(folded(&markdown::plan(&plan())), @"
    ### Plan for `root@hv.example`: 1 to restart, 1 to install, 1 to stage, 1 unchanged, 1 refused

    | VM | plan | from | to | closure | to send |
    |---|---|---|---|---|---|
    | `vm1` | **restart** | `0123abcd-microvm-qemu-vm1` | `4567wxyz-microvm-qemu-vm1` | 500.0 MiB → 501.0 MiB (+1.0 MiB) | at most 14.0 MiB |
    | `vm2` | **stage** | `0123abcd-microvm-qemu-vm2` | `4567wxyz-microvm-qemu-vm2` |  | at most 0 B |
    | `vm3` | **install and start** |  | `4567wxyz-microvm-qemu-vm3` |  | at most 300.0 MiB |
    | `vm4` | unchanged | `0123abcd-microvm-qemu-vm4` |  |  |  |
    | `database` | **refused**: `` its runner is set by the hypervisor's own configuration at every boot; deploy that with `deployvm host push` `` | `0123abcd-microvm-qemu-database` |  |  |  |

    <details open><summary>The whole plan</summary>

    ```text
    (29 lines)
    ```

    </details>
    ");
}

#[test]
fn a_plan_with_a_vm_that_cannot_be_built() {
    let mut plan = plan();
    plan.moves.truncate(1);
    plan.warnings.clear();
    plan.broken = vec![(vm("vm9"), "error: <b>@everyone</b> | ```\n```\n::error::x".to_owned())];
    insta::assert_snapshot!(markdown::plan(&plan), @"
    ### Plan for `root@hv.example`: 1 to restart, 1 broken

    | VM | plan | from | to | closure | to send |
    |---|---|---|---|---|---|
    | `vm1` | **restart** | `0123abcd-microvm-qemu-vm1` | `4567wxyz-microvm-qemu-vm1` | 500.0 MiB → 501.0 MiB (+1.0 MiB) | at most 14.0 MiB |
    | `vm9` | **cannot be built** |  |  |  |  |

    <details open><summary>The whole plan</summary>

    ````text
    plan for root@hv.example: 1 to restart, 1 broken

    vm1  restart  microvm-qemu-vm1 0123abcd → 4567wxyz
        ~ linux: 6.6.1 → 6.6.2
        ~ openssl: 1.1.1w, 3.0.20 → 3.0.21, -12.0 KiB
        ~ python3.11-a-package-with-a-very-long-name: 1.0, 2.0 → 3.0, 4.0, 5.0, +40 B
        + jq 1.7.1, +1.2 MiB
        - sqlite 3.45, -900.0 KiB
          rebuilt: etc, nixos-system-vm1, system-units, unit-nginx.service and 1 more, +40 B
        closure 500.0 MiB → 501.0 MiB (+1.0 MiB), at most 14.0 MiB to send
        adopts: what is booted now, 0123abcd-microvm-qemu-vm1, becomes a generation first
        note: its flake file names a checkout that is not there: `microvm -u vm1` cannot work

    vm9  cannot be built
        error: <b>@everyone</b> | ```
        ```
        ::error::x

    restarts: vm1
    nothing is touched while a VM cannot be built
    ````

    </details>
    ");
    insta::assert_snapshot!(Alarm::broken(&plan)[0].command(), @"::error title=vm9 cannot be built::error: <b>@everyone</b> | ```%0A```%0A::error::x");
}

#[test]
fn a_result() {
    insta::assert_snapshot!(folded(&markdown::result(31, &outcomes())), @"
    ### Result: 1 deployed, 1 unchanged, 1 rolled-back, 1 skipped, 1 refused (exit 31)

    | VM | result | generation | down | checks | why |
    |---|---|---|---|---|---|
    | `vm1` | ✓ deployed | 4 | 1.8 s | 1/2, 1 failing before |  |
    | `vm3` | ✓ unchanged |  |  |  |  |
    | `vm2` | **↺ rolled-back** | 3 | 9.2 s | 1/2 | `check-failed` |
    | `vm4` | **– skipped** |  |  |  |  |
    | `database` | **✗ refused** |  |  |  | `locked` |

    <details open><summary>What happened</summary>

    ```text
    (28 lines)
    ```

    </details>
    ");
    let good = markdown::result(0, &outcomes()[..2]);
    assert!(good.ends_with("| `vm3` | ✓ unchanged |  |  |  |  |\n\n"), "{good}");
    let alarms = Alarm::outcomes(&outcomes());
    insta::assert_snapshot!(alarms.iter().map(Alarm::command).collect::<Vec<_>>().join("\n"), @"
    ::error title=vm2 rolled-back::check-failed%0Acheck web from hypervisor failed after 30.0 s: HTTP 500%0Astate: what ran before runs again (0123abcd-microvm-qemu-vm2)
    ::warning title=vm4 skipped::state: not touched
    ::error title=database refused::locked%0Alocked by alice@laptop since 18:39 for a push%0Astate: not touched
    ");
}

#[test]
fn a_failure() {
    let failure =
        Failure::new(Aftermath::Unreachable, "cannot reach hv|x").output("ssh: `no`").help("try again");
    insta::assert_snapshot!(markdown::failed(&failure), @r"
    ### deployvm failed (exit 11)

    `cannot reach hv\|x`

    <details open><summary>What happened</summary>

    ```text
      × cannot reach hv|x
      ╰─▶ ssh: `no`
      state: nothing was changed on the hypervisor
      help: try again
    ```

    </details>
    ");
}
