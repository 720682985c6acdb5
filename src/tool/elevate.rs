//! The vocabulary of sudo, doas and run0: the command line that runs something as root
//! without a question, and the rule that allows it.

use crate::model::login::{Elevate, Login};

/// The entry command that this project's NixOS module installs: it does what the plain
/// command does, and a rule can name it alone.
pub const ENTRY: &str = "/run/current-system/sw/bin/deployvm-entry";

/// The command lines to try with a tool, the best first. `plain` is the command that a
/// root login is asked to run; all of it is constant.
pub fn commands(tool: Elevate, entry: bool, plain: &str) -> Vec<String> {
    let prefix = match tool {
        // Never a question: nobody is there to answer it.
        Elevate::Sudo => "sudo -n",
        Elevate::Doas => "doas -n",
        Elevate::Run0 => "run0 --no-ask-password",
        Elevate::None => return Vec::new(),
    };
    let commands = [ENTRY].into_iter().filter(|_| entry).chain([plain]);
    commands.map(|command| format!("{prefix} {command}")).collect()
}

/// The tool's name.
pub fn name(tool: Elevate) -> &'static str {
    match tool {
        Elevate::Sudo => "sudo",
        Elevate::Doas => "doas",
        Elevate::Run0 => "run0",
        Elevate::None => "none",
    }
}

/// What to add, and where, so that this login may do it.
pub fn advice(tool: Elevate, login: &Login, plain: &str) -> String {
    let Login { user, host, .. } = login;
    let (file, rule) = (file(tool), rule(tool, login, plain));
    if !login.nixos {
        return format!("add this to {file} on {host}:\n    {rule}");
    }
    let option = match tool {
        Elevate::Sudo | Elevate::None => "security.sudo.extraConfig",
        Elevate::Doas => "security.doas.extraConfig",
        Elevate::Run0 => "security.polkit.extraConfig",
    };
    let by_module = "this project's nixosModules.hypervisor";
    format!(
        "use {by_module} with deployvm.host.user = \"{user}\" on {host}, or add this to its {option}:\n    {rule}"
    )
}

fn file(tool: Elevate) -> &'static str {
    match tool {
        Elevate::Sudo | Elevate::None => "/etc/sudoers.d/deployvm",
        Elevate::Doas => "/etc/doas.conf",
        Elevate::Run0 => "/etc/polkit-1/rules.d/50-deployvm.rules",
    }
}

/// The rule, in the words of the tool's own configuration.
fn rule(tool: Elevate, login: &Login, plain: &str) -> String {
    let user = &login.user;
    match tool {
        // Two quotes: no arguments.
        Elevate::Sudo | Elevate::None if login.entry => format!("{user} ALL=(root) NOPASSWD: {ENTRY} \"\""),
        Elevate::Sudo | Elevate::None => {
            let words = plain.split_once(' ').map_or("", |(_, words)| words);
            format!("{user} ALL=(root) NOPASSWD: {} {words}", login.xargs)
        }
        Elevate::Doas if login.entry => format!("permit nopass {user} as root cmd {ENTRY} args"),
        Elevate::Doas => {
            // doas compares the command as it was typed.
            let (program, words) = plain.split_once(' ').unwrap_or((plain, ""));
            format!("permit nopass {user} as root cmd {program} args {words}")
        }
        Elevate::Run0 => format!(
            "polkit.addRule(function(action, subject) {{ \
             if (action.id == \"org.freedesktop.systemd1.manage-units\" && subject.user == \"{user}\") \
             return polkit.Result.YES; }});"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::login::Takes;

    const PLAIN: &str = "xargs -0 -x -n 4000 sh -c";

    fn login(entry: bool, nixos: bool) -> Login {
        Login {
            user: "deploy".to_owned(),
            host: "hv".to_owned(),
            tools: vec![Elevate::Sudo],
            entry,
            xargs: "/usr/bin/xargs".to_owned(),
            nixos,
            takes: Takes::Everything,
        }
    }

    #[test]
    fn rules_name_exactly_what_is_run() {
        insta::assert_snapshot!([
            advice(Elevate::Sudo, &login(false, false), PLAIN),
            advice(Elevate::Sudo, &login(true, true), PLAIN),
            advice(Elevate::Doas, &login(false, false), PLAIN),
            advice(Elevate::Doas, &login(true, false), PLAIN),
            advice(Elevate::Run0, &login(false, false), PLAIN),
        ].join("\n\n"), @r#"
        add this to /etc/sudoers.d/deployvm on hv:
            deploy ALL=(root) NOPASSWD: /usr/bin/xargs -0 -x -n 4000 sh -c

        use this project's nixosModules.hypervisor with deployvm.host.user = "deploy" on hv, or add this to its security.sudo.extraConfig:
            deploy ALL=(root) NOPASSWD: /run/current-system/sw/bin/deployvm-entry ""

        add this to /etc/doas.conf on hv:
            permit nopass deploy as root cmd xargs args -0 -x -n 4000 sh -c

        add this to /etc/doas.conf on hv:
            permit nopass deploy as root cmd /run/current-system/sw/bin/deployvm-entry args

        add this to /etc/polkit-1/rules.d/50-deployvm.rules on hv:
            polkit.addRule(function(action, subject) { if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "deploy") return polkit.Result.YES; });
        "#);
    }

    #[test]
    fn the_entry_command_is_tried_first() {
        assert_eq!(
            commands(Elevate::Sudo, true, PLAIN),
            ["sudo -n /run/current-system/sw/bin/deployvm-entry".to_owned(), format!("sudo -n {PLAIN}"),]
        );
        assert_eq!(commands(Elevate::Run0, false, PLAIN), [format!("run0 --no-ask-password {PLAIN}")]);
        assert!(commands(Elevate::None, true, PLAIN).is_empty());
    }
}
