//! doctor: looks at everything, here and there, and ends nothing that was interrupted:
//! what is left of it is one of the things to be found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::check::aims;
use super::known::{self, Settle, recall};
use super::{Choices, Context, Target, look};
use crate::error::{Aftermath, Failure, Result};
use crate::host::Host;
use crate::model::event::Event;
use crate::model::exam::LaptopExam;
use crate::model::finding::{Finding, Place, Trap};
use crate::model::login::Elevate;
use crate::model::name::{VmName, Word};
use crate::model::observed::Observed;
use crate::model::plan::Move;
use crate::plan::decide::decide;
use crate::plan::doctor::{Case, Hypervisor, Known, Typed, judge, needed_from_here};
use crate::plan::select;
use crate::stage::places::{self, Guests};
use crate::stage::{examine, observe};

/// What is asked.
pub struct Question<'a> {
    /// VM names, globs and tags as typed; none means all.
    pub typed: &'a [String],
    /// Tags from the layers at hand.
    pub tags: &'a BTreeMap<VmName, Vec<Word>>,
    /// The hypervisor as it was typed, if it was.
    pub named: Option<&'a str>,
    /// What the settings at hand make of a VM's own.
    pub settle: Settle<'a>,
}

/// Looks, and judges. A hypervisor that cannot be reached is a finding as well.
///
/// # Errors
/// 2 for a word that means no VM there and for settings that make no sense, 11 when the
/// connection is lost on the way.
pub async fn examine(context: &Context, target: &Target, question: &Question<'_>) -> Result<Vec<Finding>> {
    let (mut laptop, connection) = tokio::join!(examine::laptop(), look::connect(context, &target.address));
    let plainly = Typed::new(&target.address, None, question.named);
    let host = match connection {
        Ok(host) => host,
        Err(failure) => return without(&laptop, plainly, Trap::NoWayIn, failure),
    };
    context.events.send(Event::Phase { name: "look", total: None });
    let observed = match observe::look(&host, target.elevate, &[]).await {
        Ok(observed) => observed,
        Err(failure) => return without(&laptop, plainly, Trap::NoAnswer, failure),
    };
    let (login, exam) = match examine::hypervisor(&host, observed.host.nix.as_deref()).await {
        Ok(found) => found,
        Err(failure) => return without(&laptop, plainly, Trap::NoAnswer, failure),
    };
    let there: BTreeSet<VmName> =
        exam.vms.keys().chain(observed.vms.keys()).chain(&observed.linked).cloned().collect();
    let chosen = select::among(question.typed, &there, question.tags)?;
    let vms = terms(&host, &observed, &chosen, question.settle).await?;
    let needed: BTreeSet<IpAddr> =
        vms.iter().flat_map(|known| &known.from_here).filter_map(|address| address.parse().ok()).collect();
    let needed: Vec<IpAddr> = needed.into_iter().collect();
    (laptop.routes, laptop.elsewhere) = examine::routes(&needed).await;
    let rise =
        host.login().map(|login| target.elevate.or(login.tools.first().copied()).unwrap_or(Elevate::Sudo));
    let mut findings = judge(&Case {
        laptop: &laptop,
        hypervisor: Some(Hypervisor {
            observed: &observed,
            exam: &exam,
            login: &login,
            who: host.login(),
            flake: target.flake.as_deref(),
            name: Some(target.name.as_str()).filter(|name| *name != target.address.to_string()),
            vms: &vms,
        }),
        trouble: None,
        typed: Typed::new(&target.address, rise, question.named),
    });
    findings.retain(|finding| match &finding.place {
        Place::Vm(vm) => question.typed.is_empty() || chosen.contains(vm),
        Place::Laptop | Place::Hypervisor => true,
    });
    host.close().await;
    Ok(findings)
}

/// What can be said where the hypervisor does not answer.
fn without(laptop: &LaptopExam, typed: Typed, trap: Trap, failure: Failure) -> Result<Vec<Finding>> {
    if failure.aftermath != Aftermath::Unreachable {
        return Err(failure);
    }
    Ok(judge(&Case { laptop, hypervisor: None, trouble: Some((trap, &failure)), typed }))
}

/// What the terms say of VMs, and whether their checks could run where they are declared.
async fn terms(host: &Host, observed: &Observed, vms: &[VmName], settle: Settle<'_>) -> Result<Vec<Known>> {
    let installed: Vec<VmName> = vms.iter().filter(|vm| observed.vms.contains_key(*vm)).cloned().collect();
    let aims = aims(&installed, observed);
    let recalled = recall(host, &aims).await?;
    let wishes = known::wishes(&aims, &recalled, settle)?;
    let plan = decide("", &wishes, observed, &BTreeMap::new(), Choices::default());
    let mut all = Vec::new();
    for mut movement in plan.moves {
        let own = aims.iter().zip(&recalled).find(|(aim, _)| aim.vm == movement.vm).map(|(_, own)| own);
        let terms = own.and_then(|own| own.terms.as_ref().or(own.newest.as_ref()));
        let mut known = Known {
            vm: Some(movement.vm.clone()),
            address: movement.address.as_ref().and_then(|address| address.parse().ok()),
            bridged: terms.map(|terms| terms.taps.clone()).unwrap_or_default(),
            from_here: needed_from_here(&movement),
            ..Known::default()
        };
        places(host, &mut movement, &mut known).await?;
        all.push(known);
    }
    Ok(all)
}

async fn places(host: &Host, movement: &mut Move, known: &mut Known) -> Result<()> {
    if !movement.running || movement.checks.iter().all(|check| check.derived) {
        return Ok(());
    }
    match places::look(host, &mut [movement], Guests::MustLetIn).await {
        Ok(remarks) => known.silent = remarks.into_iter().next(),
        Err(failure) if failure.aftermath == Aftermath::Usage => {
            known.refused = Some((failure.message, failure.help.unwrap_or_default()));
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}
