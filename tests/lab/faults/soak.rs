//! Many cells in a row, chosen by a seed: nothing may grow, and the ledger must have a
//! truthful line for everything that was done.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::harness::Lab;
use crate::running::until;

use super::cell::{Bench, DEADLINES};
use super::cells::{Cell, Fate};
use super::slices::{asked, attempt, said};

/// What may be there however often was pushed: fifty transactions, a lock for each VM and
/// the ledger's.
const GROWN: &str = r#"
count() {
    names=$(find "$1" -mindepth 1 -maxdepth 1 -name "$2" -printf '%f ' 2>/dev/null)
    n=$(echo "$names" | wc -w); [ $n -le $3 ] || echo "$1 $2: $n: $names"
}
count /var/lib/deployvm/transactions '*' 50
count /var/lib/deployvm/transactions '.*' 0
count /run/deployvm '*' 3
count /var/lib/deployvm/running '*' 2
count /var/lib/deployvm '.*' 0
count /tmp 'tmp.*' 0
count /run/systemd/transient 'deployvm-*' 0
find /var/lib/deployvm/terms /var/lib/deployvm/profiles /var/lib/microvms -name '.*'
find /nix/var/nix/gcroots/deployvm -mindepth 1 ! -name '*-pending-*'
"#;

impl Lab {
    /// Panics when something grows.
    #[track_caller]
    fn has_not_grown(&self) {
        self.tidy_but("-pending-");
        // What watches over a copy goes when it is told that nobody listens any more.
        until("nothing grows", 60, || match self.hv(GROWN).expect(0).stdout {
            grown if grown.is_empty() => Ok(()),
            grown => Err(grown),
        });
    }
}

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // Knuth's constants for a linear congruential generator of 64 bits.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides as u64).unwrap()
    }
}

#[test]
#[ignore = "hours: tests/lab/soak runs it in slices"]
fn soak() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lab/faults/soak.txt");
    let number = |name: &str, default: u64| asked(name).map_or(default, |text| text.parse().unwrap());
    let (count, minutes) = (number("LAB_COUNT", 200), number("LAB_MINUTES", 30));
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let done = std::fs::read_to_string(&path).unwrap_or_default().lines().count();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let mut cells = Cell::all();
    cells.retain(|cell| matches!(cell.fate(), Fate::Ends(..)) && !cell.fault.needs_small_disks());
    let mut dice = Dice(number("LAB_SEED", 1));
    let mut bench: Option<Bench> = None;
    for turn in 0..usize::try_from(count).unwrap() {
        let cell = cells[dice.roll(cells.len())];
        if turn < done {
            continue;
        }
        if Instant::now() > end {
            break;
        }
        let bench = bench.get_or_insert_with(|| Bench::up(false, DEADLINES));
        let report = attempt(bench, &cell).unwrap_or_else(|text| panic!("{}: {text}", cell.name()));
        writeln!(file, "{} {} | {}", turn + 1, cell.name(), said(&report)).unwrap();
    }
    if let Some(bench) = bench {
        bench.lab.has_not_grown();
        bench.told_all();
    }
}
