//! `deployvm init`: files to start from.

use clap::builder::PossibleValue;
use clap::builder::PossibleValuesParser;

use super::args::Global;
use super::session;
use crate::error::{Failure, Result};
use crate::model::template;
use crate::pipeline::init::init;

/// Start from a template: writes its files into the current directory
///
/// Nothing is written where one of the files is there already. The same files come with
/// `nix flake init -t`; this needs no Nix.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which [default: infra]
    #[arg(value_name = "TEMPLATE", value_parser = names(), hide_default_value = true)]
    pub template: Option<String>,
}

/// The names, each with what it is.
fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(template::ALL.map(|each| PossibleValue::new(each.name).help(each.about)))
}

/// Runs it.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    session::run(global, false, async move |session| {
        let name = args.template.as_deref().unwrap_or(template::ALL[0].name);
        let template =
            template::find(name).ok_or_else(|| Failure::usage(format!("there is no template {name:?}")))?;
        init(template)?;
        session.reporter.template(template);
        Ok(0)
    })
    .await
}
