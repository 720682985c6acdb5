//! What deployvm itself keeps on the hypervisor: transactions, guards, roots, the ledger.

use super::{Findings, Hypervisor};
use crate::model::argv::word;
use crate::model::exam::LedgerExam;
use crate::model::finding::{Place, Trap};
use crate::model::name::VmName;

const LEDGER: &str = "/var/lib/deployvm/ledger.jsonl";
const ROOTS: &str = "/nix/var/nix/gcroots/deployvm";

/// Judges it.
pub(super) fn judge(there: &Hypervisor<'_>, list: &mut Findings<'_>) {
    let open = &there.observed.open;
    for left in open.iter().filter(|transaction| !transaction.alive) {
        let place = left.vm.parse::<VmName>().map_or(Place::Hypervisor, Place::Vm);
        list.error(
            Trap::TransactionLeft,
            place,
            "a switch was interrupted and never ended; whatever looks next ends it, as a push would",
            format!("/var/lib/deployvm/transactions/{} has no outcome, and nobody works on it", left.id),
            list.typed.deployvm("status --no-eval"),
        );
    }
    for guard in &there.exam.guards {
        if !open.iter().any(|transaction| guard.contains(&transaction.id)) {
            list.warning(
                Trap::GuardLeft,
                Place::Hypervisor,
                "a timer guards a switch that has ended",
                guard,
                list.typed.once(format!("systemctl stop {}", word(guard))),
            );
        }
    }
    let busy = |root: &&String| open.iter().any(|transaction| root.starts_with(&transaction.id));
    let left: Vec<&str> =
        there.exam.roots_left.iter().filter(|root| !busy(root)).map(String::as_str).collect();
    if let Some(first) = left.first() {
        let more = if left.len() > 1 { format!(" and {} more", left.len() - 1) } else { String::new() };
        let files: Vec<String> = left.iter().map(|root| word(&format!("{ROOTS}/{root}"))).collect();
        list.warning(
            Trap::RootLeft,
            Place::Hypervisor,
            "roots of commands that have ended hold closures that nobody needs",
            format!("{ROOTS}/{first}{more}"),
            list.typed.once(format!("rm -f {}", files.join(" "))),
        );
    }
    match &there.exam.ledger {
        LedgerExam::Odd(what) => list.error(
            Trap::LedgerUnreadable,
            Place::Hypervisor,
            "the ledger is no plain file: nothing can be written into it",
            format!("{LEDGER} is {what}"),
            list.typed.once(format!("mv {LEDGER} {LEDGER}.odd")),
        ),
        LedgerExam::Lines { bad, first } if *bad > 0 => {
            let lines = if *bad == 1 { "a line" } else { "lines" };
            list.warning(
                Trap::LedgerTorn,
                Place::Hypervisor,
                format!("{lines} of the ledger make no sense and are passed over"),
                format!("{bad} near its end, the first: {first}"),
                list.typed.once(format!("sed -i.torn '/^{{.*}}$/!d' {LEDGER}")),
            );
        }
        LedgerExam::Lines { .. } | LedgerExam::None => {}
    }
}
