//! Effects, one file each. Stages know neither each other nor the order that
//! they come in; that is the business of `pipeline`.

pub mod build;
pub mod evaluate;
