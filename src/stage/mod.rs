//! Effects, one file each. A stage acts through `host`, speaks through events, and
//! knows neither the other stages nor the plan's making; the pipeline knows the order.

pub mod build;
pub mod copy;
pub mod derive;
pub mod evaluate;
pub mod examine;
pub mod foreground;
pub mod hook;
pub mod journal;
pub mod judge;
pub mod ledger;
pub mod observe;
pub mod pin;
pub mod places;
pub mod prune;
pub mod recall;
pub mod switch;
pub mod system;

use crate::model::plan::Move;

/// A move whose closure is on the hypervisor: what `copy` hands to `switch`. Only this
/// room makes one, so nobody can begin a switch without having copied.
#[derive(Debug)]
pub struct Copied {
    movement: Move,
}

impl Copied {
    /// The move.
    pub fn movement(&self) -> &Move {
        &self.movement
    }
}
