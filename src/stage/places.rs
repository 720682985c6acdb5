//! Looks, before anything is touched, whether every check can run where it was
//! declared: the programs that it needs, and a way into the guest. What cannot run is
//! refused here, never skipped. Of a VM that does not run, nothing can be known: its
//! checks fail later, if they must, and say why.

use tokio::task::JoinSet;

use crate::error::{Failure, Result};
use crate::host::probe::{self, Way, missing, missing_inside};
use crate::host::{Host, guest};
use crate::model::check::{Check, From};
use crate::model::plan::Move;
use crate::model::settings::Via;

/// What is asked of guests that run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guests {
    /// A check that cannot run inside is refused.
    MustLetIn,
    /// It is remarked: going back is what mends a guest that lets nobody in.
    MayLetIn,
}

/// Looks at every place where a check of these moves is declared, all at once, and puts
/// down how guests are reached over vsock. Returns what the user should know.
///
/// # Errors
/// Exit 2 for a check that cannot run; exit 11 when the hypervisor cannot be asked.
pub async fn look(host: &Host, moves: &mut [&mut Move], guests: Guests) -> Result<Vec<String>> {
    find_vsock(host, moves).await?;
    let moves: Vec<&Move> = moves.iter().map(|movement| &**movement).collect();
    let there = at(From::Hypervisor, host, &moves);
    let laptop = Host::local();
    let here = at(From::Laptop, &laptop, &moves);
    let inside = async {
        let mut inside = JoinSet::new();
        for movement in &moves {
            let (movement, way) = ((*movement).clone(), probe::way(host, movement));
            inside.spawn(async move {
                match look_inside(&movement, &way).await {
                    Err(failure) if guests == Guests::MayLetIn => Ok(Some(failure.message)),
                    other => other,
                }
            });
        }
        let found = inside.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(found.into_iter().flatten().collect())
    };
    let (there, here, inside) = tokio::join!(there, here, inside);
    there.and(here)?;
    inside
}

/// Fills in the program that reaches guests over vsock, where that is the way in.
///
/// # Errors
/// Exit 2 for a check that cannot run without it; exit 11 when the hypervisor cannot be asked.
pub async fn find_vsock(host: &Host, moves: &mut [&mut Move]) -> Result<()> {
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
async fn look_inside(movement: &Move, way: &Way) -> Result<Option<String>> {
    let checks: Vec<&Check> = of(movement, From::Vm).collect();
    let Some(first) = checks.first() else { return Ok(None) };
    let vm = &movement.vm;
    let derived = |name: &str| movement.checks.iter().find(|c| c.derived && c.name == name);
    // It is derived where the wanted configuration has an sshd.
    let wants_sshd = movement.vsock.is_some() || derived("ssh").is_some();
    let why = match movement.running {
        false if wants_sshd => return Ok(None),
        false => "no-sshd",
        true => match missing_inside(way, &checks).await {
            Ok(missing) => return programs(movement, &checks, missing).map(|()| None),
            Err(why) => why,
        },
    };
    if wants_sshd && why.starts_with("ssh-") && why != "ssh-denied" {
        let up = match derived("ping") {
            Some(ping) => probe::ask(ping, way).await == "ok",
            None => true,
        };
        if !up {
            let text = format!("{vm} does not answer now: whether its checks can run inside it will be seen");
            return Ok(Some(text));
        }
    }
    let known = way.ssh.last().cloned().unwrap_or_default();
    let help = match why {
        _ if !wants_sshd => {
            format!(
                "enable services.openssh in the configuration of {vm}, or say how to get in: vms.{vm}.guest"
            )
        }
        "host-key-unknown" => format!("put the guest's host key into known_hosts, under {known}"),
        "host-key-changed" => format!("find out why; if the guest was made anew: ssh-keygen -R {known}"),
        "ssh-denied" => format!("let your key in, or say who to log in as: vms.{vm}.guest.user; {LATER}"),
        _ => format!("say how to get in: vms.{vm}.guest; {LATER}"),
    };
    let sentence = if wants_sshd { guest::sentence(why) } else { "its configuration enables no sshd" };
    Err(refused(first, movement, &format!("is to run inside the VM, and there is no way in: {sentence}"))
        .help(help))
}

/// What the new generation brings is not there yet.
const LATER: &str = "or deploy what it needs first, without this check";

fn programs(movement: &Move, checks: &[&Check], missing: Vec<Option<String>>) -> Result<()> {
    let vm = &movement.vm;
    match checks.iter().zip(missing).find_map(|(check, program)| Some((check, program?))) {
        None => Ok(()),
        Some((check, program)) => {
            Err(refused(check, movement, &format!("is to run inside the VM, which has no {program}"))
                .help(format!("add {program} to the configuration of {vm}; {LATER}")))
        }
    }
}

fn refused(check: &Check, movement: &Move, what: &str) -> Failure {
    Failure::usage(format!("check {:?} of {} {what}", check.name, movement.vm))
}
