//! `deployvm plan`: its arguments.

use super::args::Intent;

/// Print what push would do, changing nothing
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// What to plan for.
    #[command(flatten)]
    pub intent: Intent,

    /// Exit with 3 when there are changes
    #[arg(long)]
    pub exit_code: bool,
}
