//! The only mouth.

pub mod page;
pub mod quantity;
pub mod table;
