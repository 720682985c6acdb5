//! Looks, before anything is touched, whether every check can run where it was
//! declared: the programs that it needs, and a way into the guest. What cannot run is
//! refused here, never skipped. Of a VM that does not run, nothing can be known: its
//! checks fail later, if they must, and say why.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use crate::error::{Failure, Result};
use crate::host::probe::{self, Way, missing, missing_inside};
use crate::host::{Host, guest};
use crate::model::check::{Check, From};
use crate::model::plan::Move;
use crate::model::settings::Via;

/// Looks at every place where a check of these moves is declared, all at once, and puts
/// down how guests are reached over vsock. Returns what the user should know.
///
/// # Errors
/// Exit 2 for a check that cannot run; exit 11 when the hypervisor cannot be asked.
pub async fn look(host: &Host, moves: &mut [&mut Move]) -> Result<Vec<String>> {
    find_vsock(host, moves).await?;
    let moves: Vec<&Move> = moves.iter().map(|movement| &**movement).collect();
    let there = at(From::Hypervisor, host, &moves);
    let here = at(From::Laptop, &Host::Local, &moves);
    let inside = async {
        let mut guests = JoinSet::new();
        for movement in &moves {
            let (movement, way) = ((*movement).clone(), probe::way(host, movement));
            guests.spawn(async move { inside(&movement, &way).await });
        }
        let found = guests.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(found.into_iter().flatten().collect())
    };
    let (there, here, inside) = tokio::join!(there, here, inside);
    there.and(here)?;
    inside
}

/// Fills in the program that reaches guests over vsock, where that is the way in.
async fn find_vsock(host: &Host, moves: &mut [&mut Move]) -> Result<()> {
    if moves.iter().all(|movement| movement.vsock.is_none()) {
        return Ok(());
    }
    let program = probe::vsock_program(host).await?;
    for movement in moves {
        if let Some(vsock) = &mut movement.vsock {
            vsock.socat.clone_from(&program);
        }
        if program.is_none()
            && movement.guest.via == Some(Via::Vsock)
            && let Some(check) = of(movement, From::Vm).next()
        {
            return Err(refused(
                check,
                movement,
                "is to run inside the VM over vsock, and the hypervisor has no socat that can do that",
            )
            .help(format!(
                "install socat on the hypervisor, or set vms.{}.guest.via to \"hypervisor\"",
                movement.vm
            )));
        }
    }
    Ok(())
}

fn of(movement: &Move, place: From) -> impl Iterator<Item = &Check> {
    // Derived checks need nothing that the first look at a hypervisor does not demand.
    movement.checks.iter().filter(move |check| check.from == place && !check.derived)
}

/// Looks for programs on the hypervisor or on this machine.
async fn at(place: From, host: &Host, moves: &[&Move]) -> Result<()> {
    let all = moves.iter().flat_map(|movement| of(movement, place).map(move |check| (*movement, check)));
    let (owners, checks): (Vec<&Move>, Vec<&Check>) = all.unzip();
    if checks.is_empty() {
        return Ok(());
    }
    let name = if place == From::Laptop { "this machine" } else { "the hypervisor" };
    for ((movement, check), program) in owners.iter().zip(&checks).zip(missing(host, &checks).await?) {
        if let Some(program) = program {
            let what = format!("is to run on {name}, which has no {program}");
            return Err(refused(check, movement, &what)
                .help(format!("install {program} there, or run the check from elsewhere")));
        }
    }
    Ok(())
}

/// Looks into a guest that runs now. Returns a warning where it does not answer at all:
/// then nothing can be known, and the deployment may well be what mends it.
async fn inside(movement: &Move, way: &Way) -> Result<Option<String>> {
    let checks: Vec<&Check> = of(movement, From::Vm).collect();
    let Some(first) = checks.first().filter(|_| movement.running) else { return Ok(None) };
    let vm = &movement.vm;
    // What the new generation brings is not there yet.
    let later = "or deploy what it needs first, without this check";
    match missing_inside(way, &checks).await {
        Ok(missing) => {
            for (check, program) in checks.iter().zip(missing) {
                if let Some(program) = program {
                    return Err(refused(
                        check,
                        movement,
                        &format!("is to run inside the VM, which has no {program}"),
                    )
                    .help(format!("add {program} to the configuration of {vm}; {later}")));
                }
            }
            Ok(None)
        }
        // Its sshd may come with the new generation, whose configuration has one.
        Err(why @ ("ssh-unreachable" | "ssh-refused")) if why != "ssh-refused" || enables_sshd(movement) => {
            Ok(Some(format!(
                "{vm} as it runs now lets nobody in to check anything ({why}); the new generation must"
            )))
        }
        Err(why) => {
            let known = way.ssh.last().cloned().unwrap_or_default();
            let help = match why {
                "host-key-unknown" => format!("put the guest's host key into known_hosts, under {known}"),
                "host-key-changed" => {
                    format!("find out why; if the guest was made anew: ssh-keygen -R {known}")
                }
                "ssh-denied" => {
                    format!("let your key in, or say who to log in as: vms.{vm}.guest.user; {later}")
                }
                _ => format!("say how to get in: vms.{vm}.guest; {later}"),
            };
            let what = format!("is to run inside the VM, and there is no way in: {}", guest::sentence(why));
            Err(refused(first, movement, &what).help(help))
        }
    }
}

/// The derived check says whether the wanted configuration has one.
fn enables_sshd(movement: &Move) -> bool {
    let names: BTreeSet<&str> =
        movement.checks.iter().filter(|c| c.derived).map(|c| c.name.as_str()).collect();
    names.contains("ssh")
}

fn refused(check: &Check, movement: &Move, what: &str) -> Failure {
    Failure::usage(format!("check {:?} of {} {what}", check.name, movement.vm))
}
