//! Opening a hypervisor and looking at it, and closing what a crash left open there.

use super::Context;
use crate::error::Result;
use crate::host::Host;
use crate::model::address::Address;
use crate::model::event::Event;
use crate::model::login::Elevate;
use crate::model::name::VmName;
use crate::model::observed::{Observed, Unheard};
use crate::model::store_path::StorePath;
use crate::plan::interrupted;
use crate::stage::observe;

/// Opens the connection.
///
/// # Errors
/// Exit 11 when there is no way in.
pub async fn connect(context: &Context, address: &Address) -> Result<Host> {
    // Mostly the flake is evaluated meanwhile.
    context.events.during("connect", None, Host::connect(address, &context.keyring)).await
}

/// Looks, as root, which a login may first have to become; when a reboot or a crash left
/// transactions open, they are ended first and the look is repeated. Says how those ended
/// that were interrupted.
///
/// # Errors
/// Exit 11 when the hypervisor cannot be asked, or does not let us be root.
pub async fn look(
    context: &Context,
    host: &Host,
    elevate: Option<Elevate>,
    wanted: &[(VmName, StorePath)],
) -> Result<Observed> {
    context.events.send(Event::Phase { name: "look", total: None });
    let mut observed = observe::observe(host, elevate, wanted).await?;
    if !observed.open.iter().all(|t| t.alive) {
        let open: Vec<String> = observed.open.iter().filter(|t| !t.alive).map(|t| t.vm.clone()).collect();
        let message = format!("a switch of {} was interrupted before: ending it first", open.join(", "));
        context.events.send(Event::Warning { message });
        for (id, recorded) in observe::close_open(host).await? {
            if recorded.is_none() {
                let message = format!("the interrupted switch {id} is still open");
                context.events.send(Event::Warning { message });
            }
        }
        observed = observe::observe(host, elevate, wanted).await?;
    }
    for vm in &observed.linked {
        let message = format!(
            "the directory of {vm} on the hypervisor is a link to elsewhere: it is not followed, and {vm} left alone"
        );
        context.events.send(Event::Warning { message });
    }
    tell(context, &observed);
    Ok(observed)
}

/// One line for each VM about the last switch of whose end nobody has heard.
fn tell(context: &Context, observed: &Observed) {
    let told = context.footprint.heard();
    for unheard in observed.unheard.iter().filter(|unheard| !told.contains(&unheard.id)) {
        let later = |other: &&Unheard| other.vm == unheard.vm && other.id > unheard.id;
        if !observed.unheard.iter().any(|other| later(&other)) {
            context.events.send(Event::Warning { message: interrupted::remark(unheard) });
        }
        context.footprint.tells(&unheard.id);
    }
}
