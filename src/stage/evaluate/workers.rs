//! Evaluates microVMs, one Nix process each, some at a time.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use super::{Flake, remedy, start};
use crate::error::{Failure, Result};
use crate::host::machine;
use crate::model::argv::Output;
use crate::model::event::{Event, Events};
use crate::model::inventory::Wanted;
use crate::model::name::VmName;
use crate::tool::nix::{errors, eval};

/// Bytes that one evaluation of a NixOS system takes: half of it with small
/// systems, all of it with a full nixpkgs.
const ONE_EVALUATION: u64 = 1 << 30;

/// What came out.
#[derive(Debug, Default)]
pub struct News {
    /// What was evaluated; `None` for what is not a microVM.
    pub answers: BTreeMap<VmName, Option<Wanted>>,
    /// Nix's own message for those that failed.
    pub broken: BTreeMap<VmName, String>,
}

/// Evaluates each of them. Dropping the future ends the processes.
pub async fn evaluate_each(
    flake: &Flake<'_>,
    names: Vec<VmName>,
    jobs: Option<usize>,
    events: &Events,
) -> Result<News> {
    let most = jobs.unwrap_or_else(sensible).max(1);
    let mut waiting = names.into_iter();
    let mut running = JoinSet::new();
    let mut news = News::default();
    loop {
        while running.len() < most {
            let Some(vm) = waiting.next() else { break };
            events.send(Event::Evaluating { vm: vm.clone() });
            let argv = eval::configuration(flake.reference, flake.pass, &vm);
            running.spawn(async move { (vm, start(&argv).await) });
        }
        let Some(joined) = running.join_next().await else { break };
        let (vm, output) = joined.map_err(|e| Failure::bug(format!("an evaluation ended early: {e}")))?;
        let answer = read(&vm, &output?, flake)?;
        events.send(Event::Evaluated { vm: vm.clone(), ok: answer.is_ok(), cached: false });
        match answer {
            Ok(wanted) => drop(news.answers.insert(vm, wanted)),
            Err(message) => drop(news.broken.insert(vm, message)),
        }
    }
    Ok(news)
}

/// As many as processors and memory allow.
fn sensible() -> usize {
    let memory = machine::memory_available().map_or(4, |bytes| bytes / ONE_EVALUATION);
    machine::processors().min(usize::try_from(memory).unwrap_or(usize::MAX)).max(1)
}

/// The inner error is Nix's about this microVM; the outer one ends the command.
fn read(
    vm: &VmName,
    output: &Output,
    flake: &Flake<'_>,
) -> Result<std::result::Result<Option<Wanted>, String>> {
    if !output.ok() {
        let message = errors::explain(output);
        let trace = eval::traced(flake.reference, flake.pass, &eval::runner(vm), false);
        let help = remedy::remedy(&message, flake.reference, &trace);
        return Ok(Err(format!("{}\n{help}", message.text())));
    }
    match eval::parse_configuration(vm, &output.stdout) {
        Ok(wanted) => Ok(Ok(wanted)),
        Err(eval::Misread::Shape(why)) => Ok(Err(why)),
        Err(eval::Misread::Settings(why)) => {
            Err(Failure::usage(why).help("`deployvm config` shows every setting and where it comes from"))
        }
    }
}
