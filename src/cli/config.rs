//! `deployvm config`: the settings, each with the layer that it came from.

use std::io::Write as _;

use super::args::Global;
use super::settings::{Layers, describe};
use crate::error::Result;

/// Show each setting and the layer that it came from
///
/// Later layers win: built-in defaults; the flake's deployvm output; deployvm.toml at the flake's
/// root; its [environments.NAME] table; DEPLOYVM_* variables; flags.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {}

/// Prints the settings.
///
/// # Errors
/// When a layer is not valid.
pub async fn run(global: &Global, _args: Args) -> Result<u8> {
    let settled = Layers::before_flake(global)?.with_flake(None)?;
    let text = if global.json { describe::json(&settled) } else { describe::table(&settled) };
    // A reader that closed the pipe has seen enough.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(0)
}
