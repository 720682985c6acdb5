//! Effects, one file each. A stage acts through `host`, speaks through events, and
//! knows neither the other stages nor the plan's making; the pipeline knows the order.

pub mod build;
pub mod copy;
pub mod evaluate;
pub mod judge;
pub mod ledger;
pub mod observe;
pub mod pin;
pub mod recall;
pub mod switch;
