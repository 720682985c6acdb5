//! The checks alone, with nothing deployed: what holds of the VMs as they run now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::known::{self, Aim, Settle, recall};
use super::past::{Looked, open};
use super::prepare::{request, wishes};
use super::{Choices, Context, Intent, Target, look};
use crate::error::{Aftermath, Failure, Result, last_lines};
use crate::model::check::CheckResult;
use crate::model::event::Event;
use crate::model::inventory::Wanted;
use crate::model::name::{VmName, Word};
use crate::model::observed::Observed;
use crate::model::outcome::{Outcome, Word as Ended};
use crate::model::plan::Move;
use crate::model::terms::Terms;
use crate::plan::decide::{Wish, decide};
use crate::plan::{generations, select, standing, state};
use crate::stage::evaluate::evaluate;
use crate::stage::places::{self, Guests};
use crate::stage::{judge, observe};

/// Runs the checks that the flake and the settings declare.
///
/// # Errors
/// 2 for a bad wish, 10 when the flake itself does not evaluate, 11 when the hypervisor
/// cannot be reached, or not any more.
pub async fn with_flake(context: &Context, intent: Intent<'_>) -> Result<Vec<Outcome>> {
    let request = request(context, &intent)?;
    let connection = async {
        match &intent.certain {
            Some(address) => look::connect(context, address).await.map(Some),
            None => Ok(None),
        }
    };
    let (inventory, connection) = tokio::join!(evaluate(&request, &context.events), connection);
    let inventory = inventory?;
    let chosen = (intent.settle)(&inventory)?;
    let wishes = wishes(&inventory, &chosen, true)?.wishes;
    let host = match connection? {
        Some(host) => host,
        None => look::connect(context, &chosen.target.address).await?,
    };
    let observed = look::look(context, &host, chosen.target.elevate, &[]).await?;
    let mut outcomes: Vec<Outcome> = inventory.broken.iter().map(|(vm, error)| broken(vm, error)).collect();
    outcomes.extend(run(context, &mut Looked { host, observed }, &wishes).await?);
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outcomes)
}

/// Runs the checks with which what runs was deployed.
///
/// # Errors
/// 2 for a word that the hypervisor does not know, 11 when it cannot be reached, or not
/// any more.
pub async fn without_flake(
    context: &Context,
    target: &Target,
    typed: &[String],
    tags: &BTreeMap<VmName, Vec<Word>>,
    settle: Settle<'_>,
) -> Result<Vec<Outcome>> {
    let message = "no flake here: these are the checks with which each VM was deployed".to_owned();
    context.events.send(Event::Warning { message });
    let mut looked = open(context, target).await?;
    let installed: BTreeSet<VmName> = looked.observed.vms.keys().cloned().collect();
    let chosen = select::among(typed, &installed, tags)?;
    let aims = aims(&chosen, &looked.observed);
    let recalled = recall(&looked.host, &aims).await?;
    let wishes = known::wishes(&aims, &recalled, settle)?;
    let mut outcomes: Vec<Outcome> = without_runner(&chosen, &aims).collect();
    for outcome in &outcomes {
        context.events.send(Event::Done { outcome: outcome.clone() });
    }
    outcomes.extend(run(context, &mut looked, &wishes).await?);
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(outcomes)
}

/// Those of which nobody can say what they run: nothing is known of their checks either.
fn without_runner<'a>(chosen: &'a [VmName], aims: &'a [Aim]) -> impl Iterator<Item = Outcome> + 'a {
    let unknown = chosen.iter().filter(|vm| aims.iter().all(|aim| aim.vm != **vm));
    unknown.map(|vm| {
        let mut outcome = Outcome::new(vm.clone(), Ended::Failed, 32);
        outcome.reason = Some("no-runner".to_owned());
        outcome.detail = Some(format!(
            "what it has staged and booted are no store paths: see /var/lib/microvms/{vm} on the hypervisor"
        ));
        outcome
    })
}

/// What these VMs run, or else have staged.
pub(super) fn aims(vms: &[VmName], observed: &Observed) -> Vec<Aim> {
    let aim = |vm: &VmName| {
        let found = observed.vms.get(vm)?;
        let path = state::runs(found).or_else(|| found.staged())?;
        Some(Aim { vm: vm.clone(), number: generations::number_of(found, &path).unwrap_or(0), path })
    };
    vms.iter().filter_map(aim).collect()
}

async fn run(context: &Context, looked: &mut Looked, wishes: &[Wish]) -> Result<Vec<Outcome>> {
    settle_down(context, looked, wishes).await?;
    let vms: Vec<VmName> = wishes.iter().map(|wish| wish.vm.clone()).collect();
    let aims = aims(&vms, &looked.observed);
    let recalled = recall(&looked.host, &aims).await?;
    let terms = |vm: &VmName| {
        let mine = aims.iter().zip(&recalled).find(|(aim, _)| aim.vm == *vm);
        mine.and_then(|(_, recalled)| recalled.terms.as_ref())
    };
    context.events.send(Event::Phase { name: "check", total: Some(wishes.len() as u64) });
    let mut plan = decide("", wishes, &looked.observed, &BTreeMap::new(), Choices::default());
    let mut running: Vec<&mut Move> = plan.moves.iter_mut().filter(|m| m.running).collect();
    for message in places::look(&looked.host, &mut running, Guests::MustLetIn).await? {
        context.events.send(Event::Warning { message });
    }
    let mut outcomes = Vec::new();
    for movement in &plan.moves {
        let wanted = wishes.iter().find(|wish| wish.vm == movement.vm).and_then(|wish| wish.wanted.as_ref());
        let outcome = one(context, looked, movement, wanted, terms(&movement.vm)).await;
        // Without a line nobody can tell what holds, of this one and of all that follow.
        if outcome.exit != 0 && !looked.host.answers().await {
            return Err(lost(&movement.vm, outcomes.len(), plan.moves.len()));
        }
        context.events.send(Event::Done { outcome: outcome.clone() });
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The line is gone, and nobody is to blame for what fails.
fn lost(vm: &VmName, checked: usize, all: usize) -> Failure {
    let message = format!(
        "the connection was lost while {vm} was checked, after {checked} of {all} VMs: \
         nothing can be said of the rest"
    );
    Failure::new(Aftermath::Unreachable, message)
        .help("check again when the hypervisor can be reached; to see why it cannot: deployvm doctor")
}

/// A process that has just started may yet fall: looks again once each has had its time.
async fn settle_down(context: &Context, looked: &mut Looked, wishes: &[Wish]) -> Result<()> {
    let left = wishes.iter().filter_map(|wish| {
        let found = looked.observed.vms.get(&wish.vm).filter(|found| found.is_running())?;
        Some(standing::unsettled(found, wish.settings.deadlines().settle))
    });
    let left = left.max().unwrap_or_default();
    if left > 0 {
        tokio::time::sleep(Duration::from_secs(left)).await;
        context.events.send(Event::Phase { name: "look", total: None });
        looked.observed = observe::observe(&looked.host, None, &[]).await?;
    }
    Ok(())
}

async fn one(
    context: &Context,
    looked: &Looked,
    movement: &Move,
    wanted: Option<&Wanted>,
    terms: Option<&Terms>,
) -> Outcome {
    let vm = &movement.vm;
    let mut outcome = Outcome::new(vm.clone(), Ended::Unchanged, 0);
    let Some(found) = looked.observed.vms.get(vm) else {
        (outcome.result, outcome.exit) = (Ended::Failed, 32);
        outcome.reason = Some("not-installed".to_owned());
        outcome.detail = Some("it is not on the hypervisor yet".to_owned());
        return outcome;
    };
    outcome.from = state::runs(found).filter(|_| found.is_running());
    let taps: Vec<String> =
        wanted.map(|wanted| wanted.taps().map(str::to_owned).collect()).unwrap_or_default();
    let bridged = terms.map(|terms| terms.taps.as_slice()).unwrap_or_default();
    let mut results = vec![standing::unit(found, movement.deadlines.settle)];
    results.extend(standing::taps(&taps, bridged, &looked.observed.host));
    for check in &results {
        context.events.send(Event::Checked { vm: vm.clone(), check: check.clone() });
    }
    let stands = results.first().is_some_and(|unit| unit.ok);
    results.extend(judge::survey(movement, &looked.host, stands, &context.events).await);
    if !results.iter().all(|result: &CheckResult| result.ok) {
        (outcome.result, outcome.exit) = (Ended::Failed, 32);
        outcome.reason = Some("check-failed".to_owned());
    }
    outcome.checks = results;
    outcome
}

fn broken(vm: &VmName, error: &str) -> Outcome {
    let mut outcome = Outcome::new(vm.clone(), Ended::Failed, 10);
    outcome.detail = Some(format!("it does not evaluate: {}", last_lines(error, 3).join(" ")));
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Found;

    #[test]
    fn a_vm_without_a_runner_is_not_left_out() {
        let path = "/nix/store/0123abcd0123abcd0123abcd0123abcd-microvm-qemu-vm2".to_owned();
        let mut observed = Observed::default();
        let vms: Vec<VmName> = ["vm1", "vm2"].map(|name| name.parse().unwrap()).to_vec();
        let broken = Found {
            current: Some("/tmp/elsewhere".to_owned()),
            booted: None,
            ..Found::example("active", path.clone())
        };
        observed.vms = vms.iter().cloned().zip([broken, Found::example("active", path)]).collect();
        let aims = aims(&vms, &observed);
        let said: Vec<Outcome> = without_runner(&vms, &aims).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!((said[0].name.as_str(), said[0].exit), ("vm1", 32));
        assert!(said[0].detail.as_deref().unwrap().contains("/var/lib/microvms/vm1"), "{said:?}");
    }

    #[test]
    fn says_how_far_it_came() {
        let failure = lost(&"vm2".parse().unwrap(), 1, 3);
        assert_eq!(failure.aftermath.code(), 11);
        assert!(failure.message.contains("while vm2 was checked, after 1 of 3 VMs:"), "{failure}");
    }
}
