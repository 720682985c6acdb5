//! Becomes root on the hypervisor: by looking at it once more through sudo, doas or run0,
//! without a question. What works is kept for everything that follows; when nothing does,
//! the user is told the rule that is missing.

use crate::error::{Aftermath, Failure, Result};
use crate::host::Host;
use crate::host::script::{COMMAND, OBSERVE, Reply};
use crate::model::login::{Elevate, Login};
use crate::tool::{elevate, login};

/// Looks as root. `wanted` is the tool that the settings name, if they do.
///
/// # Errors
/// Exit 11 when this login may not become root.
pub(super) async fn rise(
    host: &Host,
    found: Login,
    wanted: Option<Elevate>,
    args: &[String],
) -> Result<Reply> {
    let tools = match wanted {
        Some(Elevate::None) => Vec::new(),
        Some(tool) => vec![tool],
        None => found.tools.clone(),
    };
    let mut said: Vec<String> = Vec::new();
    for tool in &tools {
        for command in elevate::commands(*tool, found.entry, COMMAND) {
            match host.script_by(&command, OBSERVE, args).await {
                Ok(reply) if login::parse(&reply.fields).is_none() => {
                    host.rise(command, found);
                    return Ok(reply);
                }
                Ok(_) => said.push(format!("`{command}` did not make us root")),
                // The connection is what failed, and not the rule.
                Err(failure) if !host.is_alive().await => return Err(failure),
                Err(failure) => said.extend(failure.output),
            }
        }
    }
    Err(refused(&found, wanted, &tools, &said))
}

/// Why not, and what to do about it.
fn refused(found: &Login, wanted: Option<Elevate>, tools: &[Elevate], said: &[String]) -> Failure {
    let Login { user, host, .. } = found;
    let failure = |message: String| Failure::new(Aftermath::Unreachable, message);
    let Some(tool) = tools.first() else {
        return match wanted {
            Some(_) => failure(format!("{user} is not root on {host}, and hypervisors.NAME.elevate is \"none\""))
                .help(format!("log in as root (-H root@HOST), or let deployvm become root: set elevate to \"sudo\", \"run0\" or \"doas\", or leave it out\n{}", elevate::advice(Elevate::Sudo, found, COMMAND))),
            None => failure(format!("{user} is not root on {host}, and there is no sudo, doas or run0 to become root with"))
                .help("install one of them there, or log in as root: -H root@HOST"),
        };
    };
    let name = elevate::name(*tool);
    let failure = if found.tools.contains(tool) {
        failure(format!("{user} may not run deployvm's command as root on {host} by {name}"))
    } else {
        failure(format!("{user} is not root on {host}, and {name} is not there"))
    };
    let rule = elevate::advice(*tool, found, COMMAND);
    failure.output(&said.join("\n")).help(format!("{rule}\nor log in as root: -H root@HOST"))
}
