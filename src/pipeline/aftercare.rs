//! What is still to be said about a switch that did not end well: who was in the way, and
//! where nobody but a person can help, what is there and what to do, in order.

use crate::host::Host;
use crate::model::outcome::{Outcome, Word};
use crate::model::store_path::StorePath;
use crate::plan::{advice, generations};
use crate::stage::observe;

/// Completes an outcome, over the connection at hand. Where the hypervisor does not
/// answer any more, it stays as it is.
pub async fn complete(host: &Host, outcome: &mut Outcome) {
    if outcome.result == Word::Refused {
        let detail = match outcome.reason.as_deref() {
            Some("locked") => {
                let holders = observe::holders(host, std::slice::from_ref(&outcome.name)).await;
                let holder = holders.ok().and_then(|mut all| all.pop()).map(|(_, holder)| holder);
                format!("it is locked by {}", holder.as_deref().unwrap_or("somebody who is gone by now"))
            }
            Some("plan-outdated") => "somebody has staged another system since the plan was made".to_owned(),
            Some("no-terminal") => "it was offered no terminal: see that root can run sh there".to_owned(),
            Some("vm-locked") => "one of its microVMs is being switched by somebody".to_owned(),
            Some("unfinished-before") => {
                "an earlier switch of it, or one of the hypervisor and its microVMs, has not ended: \
                 any command of deployvm ends it first"
                    .to_owned()
            }
            _ => return,
        };
        outcome.detail = Some(detail);
    } else if outcome.exit == 40 && outcome.name.is_host() {
        outcome.todo = advice::of_the_host(outcome, |command| host.by_hand(command));
    } else if outcome.exit == 40 {
        let found =
            observe::observe(host, None, &[]).await.ok().map(|mut seen| seen.vms.remove(&outcome.name));
        let state = found.as_ref().map(|found| format!("now {}", advice::state(found.as_ref())));
        let said = outcome.detail.take().into_iter().chain(state).collect::<Vec<_>>().join("; ");
        outcome.detail = Some(said).filter(|said| !said.is_empty());
        let found = found.flatten();
        outcome.todo = advice::steps(outcome, found.as_ref(), |command| host.by_hand(command));
    }
}

/// Finds the number of what ran before, so that somebody who is done looking at what was
/// left failing can go back to that, and to nothing else.
pub async fn find_before(host: &Host, from: Option<&StorePath>, outcome: &mut Outcome) {
    let Some(from) = from else { return };
    if let Ok(seen) = observe::observe(host, None, &[]).await {
        outcome.before = seen.vms.get(&outcome.name).and_then(|found| generations::number_of(found, from));
    }
}
