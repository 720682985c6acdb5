//! Asks for the facts that only `doctor` needs, here and on the hypervisor. Nothing is
//! changed, and nothing is sent to anybody but the hypervisor.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::error::{Result, last_lines};
use crate::host::process::{self, Limits, Stopped};
use crate::host::script::{COMMAND, DOCTOR};
use crate::host::{Host, clock, identity, machine};
use crate::model::argv::{Argv, Output};
use crate::model::exam::{HostExam, LaptopExam, LoginExam, Route};
use crate::tool::microvm::STATE_DIR;
use crate::tool::nix::version;
use crate::tool::{exam, route};

/// What a program here may take to answer: an agent may wait for ever.
const PATIENCE: Duration = Duration::from_secs(5);

async fn ask(argv: &Argv) -> std::result::Result<Output, Stopped> {
    process::answer(argv, Limits { bytes: 1 << 20, whole: Some(PATIENCE), silence: PATIENCE }, |_| true).await
}

/// Looks at this machine, but for routes.
pub async fn laptop() -> LaptopExam {
    let nix = ask(&version::ask()).await.ok().filter(Output::ok).map(|output| version::parse(&output.text()));
    let store = async {
        // It opens the store, which `nix --version` does not.
        match ask(&Argv::new("nix-store").arg("--version")).await {
            Ok(output) if !output.ok() => Some(last_lines(&output.errors(), 1).concat()),
            Ok(_) => None,
            Err(Stopped::Failed(failure)) => Some(failure.message),
            Err(_) => Some("nix-store --version does not answer".to_owned()),
        }
    };
    let agent = async {
        let socket = identity::agent()?;
        let answers = match ask(&Argv::new("ssh-add").arg("-l")).await {
            // 1: it answers, and has no keys.
            Ok(output) => matches!(output.code, Some(0 | 1)),
            Err(Stopped::Failed(_)) => true,
            Err(_) => false,
        };
        (!answers).then_some(socket)
    };
    let (store, dead_agent) = tokio::join!(store, agent);
    LaptopExam {
        nix_too_old: nix.as_deref().is_some_and(version::too_old),
        store: store.filter(|_| nix.is_some()),
        nix,
        dead_agent,
        tailscale: machine::has_device("tailscale0"),
        ..LaptopExam::default()
    }
}

/// Where packets to these addresses would go, and those to nobody's. None is sent.
pub async fn routes(addresses: &[IpAddr]) -> (BTreeMap<String, Route>, Option<Route>) {
    let mut routes = BTreeMap::new();
    for address in addresses {
        if let Ok(output) = ask(&route::ask(*address)).await {
            routes.extend(route::parse(&output).map(|route| (address.to_string(), route)));
        }
    }
    if routes.is_empty() {
        return (routes, None);
    }
    let elsewhere = ask(&route::ask(route::NOBODY)).await.ok().and_then(|output| route::parse(&output));
    (routes, elsewhere)
}

/// Looks at the hypervisor, as root, after [`super::observe`] has found out how. `nix` is
/// what its Nix says of itself.
///
/// # Errors
/// Exit 11 when it cannot be asked.
pub async fn hypervisor(host: &Host, nix: Option<&str>) -> Result<(LoginExam, HostExam)> {
    let args = |mode: &str| [mode.to_owned(), STATE_DIR.to_owned()];
    let asked = clock::unix_seconds();
    let reply = host.script(DOCTOR, &args("all")).await?;
    let mut found = exam::host(&reply.fields, asked, clock::unix_seconds());
    found.old_nix = nix.map(version::parse).filter(|nix| version::too_old(nix));
    let login = match host.login() {
        None => exam::login(&reply.fields, &reply.noise),
        // `nix copy` does not rise.
        Some(_) => {
            let reply = host.script_by(COMMAND, DOCTOR, &args("login")).await?;
            exam::login(&reply.fields, &reply.noise)
        }
    };
    Ok((login, found))
}
