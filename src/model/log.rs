//! One line of a microVM's journal, as `logs` and `console` show it.

use super::name::VmName;

/// Who said what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The microVM that it is about.
    pub vm: VmName,
    /// The unit on the hypervisor that it is of.
    pub unit: String,
    /// Who speaks, one word; `None` for the console of the guest.
    pub speaker: Option<String>,
    /// When the journal took it: RFC 3339 in UTC, to the microsecond.
    pub time: String,
    /// What was said, as it came: it may have several lines and control characters.
    pub message: String,
}
