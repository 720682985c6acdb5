//! `init`: the files of a template in the current directory.

use crate::error::{Failure, Result};
use crate::host::fresh::{self, NotWritten};
use crate::host::machine;
use crate::model::template::Template;

/// Writes them, all or none.
///
/// # Errors
/// 2 when one is there already, or cannot be written.
pub fn init(template: &Template) -> Result<()> {
    let dir = machine::current_dir()?;
    fresh::write(&dir, template.files).map_err(|why| match why {
        NotWritten::InTheWay(ways) => {
            let (is, them) = if ways.len() == 1 { ("is", "it") } else { ("are", "them") };
            Failure::usage(format!("nothing was written: {} {is} here already", ways.join(", "))).help(
                format!("run `deployvm init {}` in another directory, or move {them} away", template.name),
            )
        }
        NotWritten::Failed(path, error) => Failure::usage(format!("nothing was written: {path}: {error}"))
            .help("see that the directory can be written, and that there is room"),
    })
}
