//! What a hypervisor remembers, as it is read on narrow and wide pages.

use super::NARROW;
use super::fixtures::{entries, full_entries, generations, vm};
use deployvm::report::page::Page;
use deployvm::report::{self, json};

#[test]
fn generations_and_history() {
    insta::assert_snapshot!(report::generations::text(&generations(), NARROW), @"
    GEN  TIME              REVISION    WHO      SIZE       RUNNER     MARKS
      9  2026-11-20 18:39              adopted  500.0 MiB  0123abcd…
     10  2026-11-20 18:39  012345678+  alice    500.0 MiB  4567wxyz…  current booted
    ");
    insta::assert_snapshot!(report::history::text(&entries(), NARROW), @"
    TIME              VM   VERB  RESULT       DOWN   WHY
                      vm1
    2026-11-20 18:39  vm2  push  rolled-back  9.2 s  check-failed
    ");
    insta::assert_snapshot!(json::generations(&vm("vm1"), &generations()[..1]), @r#"
    {"schema":1,"vm":"vm1","generations":[{"number":9,"time":"2026-11-20T18:39:01Z","path":"/nix/store/0123abcd0123abcd0123abcd0123abcd-microvm-qemu-vm1","revision":null,"dirty":null,"who":null,"bytes":524288000,"current":false,"booted":false,"verified":true,"pinned":false}]}
    "#);
    insta::assert_snapshot!(json::history(&entries()[..1]), @r#"
    {"schema":1,"entries":[{"id":"x1","time":null,"who":null,"verb":null,"vm":"vm1","from":null,"to":null,"generation":null,"revision":null,"dirty":null,"fingerprint":null,"checks":[],"result":null,"reason":null,"durations":{},"console":["panic"]}]}
    "#);
}

#[test]
fn a_full_history_and_full_generations_stay_readable() {
    let page = |width| Page { width: Some(width), colour: false };
    let history = |width| report::history::text(&full_entries(), page(width));
    insta::assert_snapshot!([history(80), history(100), history(120), history(64)].join("\n\n"), @r"
    TIME              VM        VERB      RESULT       GEN  WHY
    2026-11-28 18:39  vm1       push      deployed      12
    2026-11-28 18:39  database  push      rolled-back       check-failed
    2026-11-28 18:39  database  rollback  rolled-back       laptop-check-failed

    TIME              VM        VERB      RESULT       GEN  DOWN       WHO    WHY
    2026-11-28 18:39  vm1       push      deployed      12  2 min 5 s  alice
    2026-11-28 18:39  database  push      rolled-back       2 min 5 s  alice  check-failed
    2026-11-28 18:39  database  rollback  rolled-back       2 min 5 s  alice  laptop-check-failed

    TIME              VM        VERB      RESULT       GEN  DOWN       REVISION    WHO           WHY
    2026-11-28 18:39  vm1       push      deployed      12  2 min 5 s  012345678+  alice@laptop
    2026-11-28 18:39  database  push      rolled-back       2 min 5 s  012345678+  alice@laptop  check-failed
    2026-11-28 18:39  database  rollback  rolled-back       2 min 5 s  012345678+  alice@laptop  laptop-check-failed

    TIME         VM      VERB      RESULT       GEN  WHY
    11-28 18:39  vm1     push      deployed      12
    11-28 18:39  datab…  push      rolled-back       check-failed
    11-28 18:39  datab…  rollback  rolled-back       laptop-check-f…
    ");
    let mut all = generations();
    all[1].pinned = true;
    let list = |width| report::generations::text(&all, page(width));
    insta::assert_snapshot!([list(80), list(100), list(120), list(60)].join("\n\n"), @r"
    GEN  TIME              REVISION    SIZE       RUNNER     MARKS
      9  2026-11-20 18:39              500.0 MiB  0123abcd…
     10  2026-11-20 18:39  012345678+  500.0 MiB  4567wxyz…  current booted pinned

    GEN  TIME              REVISION    WHO           SIZE       RUNNER             MARKS
      9  2026-11-20 18:39              adopted       500.0 MiB  0123abcd-microvm…
     10  2026-11-20 18:39  012345678+  alice@laptop  500.0 MiB  4567wxyz-microvm…  current booted pinned

    GEN  TIME              REVISION    WHO           SIZE       RUNNER                     MARKS
      9  2026-11-20 18:39              adopted       500.0 MiB  0123abcd-microvm-qemu-vm1
     10  2026-11-20 18:39  012345678+  alice@laptop  500.0 MiB  4567wxyz-microvm-qemu-vm1  current booted pinned

    GEN  TIME              REVISION    MARKS
      9  2026-11-20 18:39
     10  2026-11-20 18:39  012345678+  current booted pinned
    ");
}
