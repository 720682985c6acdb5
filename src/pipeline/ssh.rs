//! Into a guest, by the same way as its checks: what the settings at hand say, and what the
//! hypervisor kept of it. Nothing is evaluated.

use std::collections::BTreeMap;
use std::slice;

use super::check::aims;
use super::known::{self, Settle, recall};
use super::past::{Looked, open};
use super::{Choices, Context, Target};
use crate::error::{Aftermath, Failure, Result};
use crate::host::{Host, guest, probe, terminal};
use crate::model::argv::Argv;
use crate::model::event::Event;
use crate::model::name::VmName;
use crate::model::plan::Move;
use crate::model::settings::{Via, VmSettings};
use crate::plan::checks::guest_address;
use crate::plan::decide::{Wish, decide};
use crate::plan::select;
use crate::stage::places;

/// A guest that can be entered. The connection to the hypervisor, which may lead there,
/// stays open as long as this is kept.
#[derive(Debug)]
pub struct Entrance {
    host: Host,
    argv: Argv,
    movement: Move,
}

/// Finds the way in.
///
/// # Errors
/// 2 for a VM that is not there or has no way in, 12 when it does not run, 11 when the
/// hypervisor cannot be reached.
pub async fn find(
    context: &Context,
    target: &Target,
    vm: &VmName,
    settle: Settle<'_>,
    command: &[String],
) -> Result<Entrance> {
    let looked = open(context, target).await?;
    let Some(found) = looked.observed.vms.get(vm) else {
        return Err(select::unknown(vm.as_str(), &looked.observed.vms.keys().cloned().collect()));
    };
    if !found.is_running() {
        return Err(Failure::new(Aftermath::Refused, format!("{vm} is not running"))
            .help(format!("to start it: deployvm start {vm}; what it said: deployvm logs {vm}")));
    }
    let movement = movement(&looked, vm, settle).await?;
    // As with ssh itself: a terminal for a shell, and for programs where there is one.
    let argv = guest::session(&looked.host, &movement, terminal::is_attended(), command);
    match argv {
        Some(argv) => Ok(Entrance { host: looked.host, argv, movement }),
        None => Err(no_way(&movement)),
    }
}

/// What is known of it, as a move that keeps it as it is.
async fn movement(looked: &Looked, vm: &VmName, settle: Settle<'_>) -> Result<Move> {
    let aims = aims(slice::from_ref(vm), &looked.observed);
    let recalled = recall(&looked.host, &aims).await?;
    // Its checks do not matter here, nor whether they could run.
    let settle = |vm: &VmName, own: &VmSettings| {
        settle(vm, own).map(|settings| VmSettings { checks: None, ..settings })
    };
    let mut wishes = known::wishes(&aims, &recalled, &settle)?;
    wishes.iter_mut().for_each(by_vsock);
    let mut plan = decide("", &wishes, &looked.observed, &BTreeMap::new(), Choices::default());
    places::find_vsock(&looked.host, &mut plan.moves.iter_mut().collect::<Vec<_>>()).await?;
    let nothing = || Failure::usage(format!("nothing is known of the guest of {vm}")).help(help(vm));
    plan.moves.pop().ok_or_else(nothing)
}

/// Without an address there is still vsock.
fn by_vsock(wish: &mut Wish) {
    let has_cid = wish.wanted.as_ref().is_some_and(|wanted| wanted.cid.is_some());
    if has_cid && guest_address(wish.wanted.as_ref(), &wish.settings).is_none() {
        wish.settings.guest.get_or_insert_default().via = Some(Via::Vsock);
    }
}

fn no_way(movement: &Move) -> Failure {
    let vm = &movement.vm;
    match (&movement.vsock, movement.guest.via) {
        (Some(_), _) => Failure::usage(format!(
            "{vm} is entered over vsock, and the hypervisor has no socat that can do that"
        ))
        .help(format!("install socat on the hypervisor, or set vms.{vm}.guest.via to \"hypervisor\"")),
        (None, Some(Via::Vsock)) => Failure::usage(format!("no vsock CID of {vm} is known")).help(help(vm)),
        (None, _) => Failure::usage(format!("no address of {vm} is known")).help(help(vm)),
    }
}

fn help(vm: &VmName) -> String {
    format!(
        "say it in deployvm.toml, as vms.{vm}.address = \"10.1.0.2\"; of what `deployvm push {vm}` deploys \
         it is known"
    )
}

impl Entrance {
    /// Goes in: our terminal is ssh's until it ends. Returns its exit code.
    ///
    /// # Errors
    /// Exit 11 when there is no ssh.
    pub async fn enter(self, context: &Context) -> Result<u8> {
        let code = terminal::hand_over(&self.argv, context.interrupted.clone()).await;
        // ssh's own code, or the command's: asking again tells which, and what is the matter.
        if matches!(code, Ok(255)) && !*context.interrupted.borrow() {
            let way = guest::way(&self.host, &self.movement);
            let trouble = probe::missing_inside(&way, &[]).await.err();
            if let Some(message) = trouble.and_then(|why| nobody_there(&self.movement, why)) {
                context.events.send(Event::Warning { message });
            }
        }
        self.host.close().await;
        code
    }
}

/// What it means that nobody opens; `None` where ssh itself has said what is the matter.
fn nobody_there(movement: &Move, trouble: &str) -> Option<String> {
    let vm = &movement.vm;
    let port = movement.guest.port.unwrap_or(22);
    let place = match &movement.address {
        Some(address) => format!("{address} port {port}"),
        None => format!("port {port}"),
    };
    matches!(trouble, "ssh-refused" | "ssh-unreachable").then(|| {
        format!(
            "{vm} runs, and no sshd answers at {place}: {}; the guest may have none \
             (services.openssh.enable), or is not up yet; to see what it does: deployvm console {vm}",
            guest::sentence(trouble)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::inventory::Wanted;
    use crate::model::observed::{Found, Observed};

    #[test]
    fn what_it_means_that_nobody_opens() {
        let runner = format!("/nix/store/{}-microvm-qemu-vm2", "a".repeat(32));
        let (vm, path): (VmName, crate::model::store_path::StorePath) =
            ("vm2".parse().unwrap(), runner.parse().unwrap());
        let wish = Wish {
            vm: vm.clone(),
            runner: path.clone(),
            wanted: Some(Wanted::new(vm.clone(), String::new(), path.clone(), path)),
            settings: VmSettings { address: Some("10.2.0.2".to_owned()), ..VmSettings::default() },
            checks: Vec::new(),
            flake: None,
            behind: None,
        };
        let observed =
            Observed { vms: BTreeMap::from([(vm, Found::example("active", runner))]), ..Observed::default() };
        let plan = decide("", &[wish], &observed, &BTreeMap::new(), Choices::default());
        let said = |why| nobody_there(&plan.moves[0], why).unwrap_or_default();
        insta::assert_snapshot!(["ssh-refused", "ssh-unreachable", "ssh-denied"].map(said).join("\n"), @r"
        vm2 runs, and no sshd answers at 10.2.0.2 port 22: it refuses the connection; the guest may have none (services.openssh.enable), or is not up yet; to see what it does: deployvm console vm2
        vm2 runs, and no sshd answers at 10.2.0.2 port 22: it does not answer; the guest may have none (services.openssh.enable), or is not up yet; to see what it does: deployvm console vm2
        ");
    }
}
