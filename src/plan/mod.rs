//! Pure decisions: which VMs, what differs, what is to be done, in which order, with
//! which checks, and what must not be deployed together. This room does no I/O of any
//! kind; everything that it needs comes in as values.

pub mod advice;
pub mod behind;
pub mod build_on;
pub mod checks;
pub mod conflicts;
pub mod cover;
pub mod decide;
pub mod diff;
pub mod doctor;
pub mod flake_file;
pub mod generations;
pub mod interrupted;
pub mod order;
pub mod pairs;
pub mod power;
pub mod select;
pub mod standing;
pub mod state;
pub mod system;
pub mod texts;
pub mod version;
pub mod why;
