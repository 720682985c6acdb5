//! What whoever attends a switch has at hand.

use tokio::sync::watch;

use super::Footprint;
use super::reconnect::Ways;
use crate::host::Host;
use crate::model::event::Events;
use crate::stage::switch::Facts;

/// What one switch needs besides the move itself.
#[derive(Clone)]
pub struct Attendance<'a> {
    /// The open connection.
    pub host: &'a Host,
    /// To connect again when it is lost.
    pub ways: Ways<'a>,
    /// What is the same for all switches of this command.
    pub facts: &'a Facts,
    /// Where to say what happens.
    pub events: &'a Events,
    /// What was touched so far.
    pub footprint: &'a Footprint,
    /// Becomes true at the first Ctrl-C.
    pub interrupted: watch::Receiver<bool>,
}
