//! The only door outside: processes, ssh, the constant scripts, git, the clock and
//! network probes. It carries out what it is asked and decides nothing.

pub mod cache;
pub mod clock;
pub mod git;
pub mod machine;
pub mod process;
