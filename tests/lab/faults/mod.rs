//! The fault matrix: `push` and `rollback` of two VMs, one fault at one step, and what
//! must hold afterwards. `tests/lab/matrix` runs it in slices, `tests/lab/soak` runs
//! random cells in a row, and the core is part of every run of the lab's tests.

mod cell;
mod cells;
mod codes;
mod ends;
pub mod gate;
mod inject;
mod slices;
mod soak;

use cell::{Bench, PATIENT};
use cells::{CORE, Cell};

#[test]
fn core() {
    let mut bench = Bench::up(false, PATIENT);
    for (verb, step, fault) in CORE {
        let cell = Cell { verb, step: gate::named(step), fault };
        eprintln!("{}", cell.name());
        bench.run(&cell);
    }
}
