//! The real binary as a shell meets it: a cleared environment, an empty directory,
//! and stdout, stderr and exit code in one snapshot.

#![expect(clippy::disallowed_methods, reason = "a test starts the binary that it is about")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

#[path = "cli/ci.rs"]
mod ci;
#[path = "cli/init.rs"]
mod init;
#[path = "cli/output.rs"]
mod output;
#[path = "cli/secrets.rs"]
mod secrets;

use std::path::Path;
use std::process::Command;

/// A directory of its own with these files, in which the binary runs.
struct Place(tempfile::TempDir);

fn place(files: &[(&str, &str)]) -> Place {
    let dir = tempfile::tempdir().unwrap();
    // The search for a flake ends at a repository's root.
    std::fs::create_dir(dir.path().join(".git")).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    Place(dir)
}

fn flake(toml: &str) -> Place {
    place(&[("flake.nix", "{ outputs = _: { }; }"), ("deployvm.toml", toml)])
}

impl Place {
    fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployvm"));
        command.args(args).current_dir(&self.0).env_clear().envs(variables.iter().copied());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*path(self.0.path()), "DIR");
        let code = output.status.code().unwrap();
        format!("exit {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
    }
}

fn path(dir: &Path) -> String {
    dir.canonicalize().unwrap().to_string_lossy().into_owned()
}

#[test]
fn version() {
    let said = place(&[]).run(&["--version"], &[]).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(said, @r"
    exit 0
    --- stdout
    deployvm VERSION
    --- stderr
    ");
}

#[test]
fn what_failed_is_named_in_lines_as_well() {
    // Nobody listens there.
    let said = place(&[]).run(&["status", "--no-eval", "-H", "root@127.0.0.1:1"], &[]);
    let lines: Vec<&str> = said.lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    assert!(said.starts_with("exit 11\n"), "{said}");
    assert!(lines.windows(2).any(|two| two == ["connecting", "connecting failed"]), "{said}");
}

#[test]
fn help() {
    insta::assert_snapshot!(place(&[]).run(&["--help"], &[]), @"
    exit 0
    --- stdout
    Deploys NixOS microVMs from a flake to a hypervisor, checks them, and puts the previous generation
    back when something is wrong

    Usage: deployvm [OPTIONS] <COMMAND>

    Commands:
      push         Build, show the plan, ask, copy, switch, check, and roll back what fails
      plan         Print what push would do, changing nothing
      diff         Compare the closure of what runs with what the flake wants
      status       Show what each VM should run, has staged, has booted and really runs
      check        Run the checks alone
      generations  List the generations of a VM on the hypervisor
      rollback     Go back to the previous generation, or a given one
      history      Show the ledger: who deployed what, when, and how it ended
      logs         Show the journals of VMs and of the units that run them, merged by time
      ssh          Log in to a VM, or run a command there, over the network, through the hypervisor or
                   by vsock
      console      Show the console of a VM since it was started
      run          Run a VM in the foreground, with this terminal as its console, and put its unit back
                   afterwards
      start        Start VMs through systemd and verify that they run
      stop         Stop VMs through systemd and verify that they are down
      restart      Restart VMs through systemd and verify that they run
      retire       Stop and unlink a VM that the flake no longer has, keeping its volumes
      pin          Keep a generation from prune
      unpin        Let prune have a generation again
      prune        Drop old generations, never one that is current, booted or pinned
      doctor       Look for every trap known to break a deployment, and say what mends it
      init         Start from a template: writes its files into the current directory
      host         Plan, deploy and roll back the hypervisor's own system
      hook         Plan before every git push, by a pre-push hook
      config       Show each setting and the layer that it came from
      completions  Print completions for a shell
      man          Print a manual page

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Options of every command:
          --flake <REF>                   The flake to deploy from [default: the one around the current
                                          directory]
      -H, --hypervisor <NAME|ADDRESS>     The hypervisor: a name from the settings, [USER@]HOST[:PORT],
                                          or local
      -e, --env <NAME>                    The table [environments.NAME] of deployvm.toml to use
                                          [default: $DEPLOYVM_ENV, or none]
          --json                          Print JSON on stdout, one object a line
      -y, --yes                           Do not ask
      -q, --quiet                         Print results and errors only
      -v, --verbose...                    Print more; twice: every program that is started
          --color <WHEN>                  When to use colours: auto (which honours NO_COLOR), always or
                                          never [default: auto]
          --summary <FILE>                Also append plan and result to this file, as Markdown
                                          [$GITHUB_STEP_SUMMARY gets them anyway]
          --override-input <INPUT> <REF>  Replace an input of the flake, as in Nix; may be given several
                                          times
          --option <NAME> <VALUE>         Set an option of Nix, as in Nix; may be given several times

    Exit codes: 0 done, 2 wrong usage or settings, 3 changes found, 10-13 nothing touched, 20 only the
    store touched, 30 and 31 restored, 32 failed and left, 40 unknown, 130 declined.
    --- stderr
    ");
}

#[test]
fn help_of_a_command() {
    let said = place(&[]).run(&["config", "--help"], &[]);
    insta::assert_snapshot!(said.split("\nOptions of every command").next().unwrap_or_default(), @r"
    exit 0
    --- stdout
    Show each setting and the layer that it came from

    Later layers win: built-in defaults; the flake's deployvm output; a VM's own configuration;
    deployvm.toml at the flake's root; its [environments.NAME] table; DEPLOYVM_* variables; flags. With
    VMs, what holds for each of them, with what its own configuration says.

    Usage: deployvm config [OPTIONS] [VM]...

    Arguments:
      [VM]...
              VMs by name, glob ('vm*') or tag (@web) [default: the layers as they are]

    Options:
          --no-eval
              Do not evaluate the flake: leave out what it says

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn help_of_logs() {
    let said = place(&[]).run(&["logs", "-h"], &[]);
    insta::assert_snapshot!(said.split("\nOptions of every command").next().unwrap_or_default(), @r"
    exit 0
    --- stdout
    Show the journals of VMs and of the units that run them, merged by time

    Usage: deployvm logs [OPTIONS] [VM]...

    Arguments:
      [VM]...  VMs by name, glob ('vm*') or tag (@web) [default: all]

    Options:
      -f, --follow        Go on with what comes, also over lost connections, until Ctrl-C
          --since <TIME>  From this time on: as shown (2026-01-31 12:00), a span back (10m), or in
                          journalctl's words
          --until <TIME>  Up to this time, written likewise
          --grep <REGEX>  Only messages that match; a pattern without capitals matches these, too
      -n, --lines <N>     So many of the newest lines, or all [default: 200; with --follow 10; with
                          --since, --until or --grep all]
      -h, --help          Print help
    ");
}

#[test]
fn wrong_use_of_logs() {
    let said = |args: &[&str]| place(&[]).run(&[&["logs"], args].concat(), &[]);
    assert!(said(&["-n", "some"]).contains("write a number of lines, or all"));
    assert!(said(&["-f", "--until", "10m"]).contains("cannot be used with"));
    assert!(said(&["--since", ""]).contains("write a time"));
}

#[test]
fn no_command_prints_the_help_and_is_a_usage_error() {
    let said = place(&[]).run(&[], &[]);
    assert!(said.starts_with("exit 2\n--- stdout\n--- stderr\nDeploys NixOS microVMs"), "{said}");
}

#[test]
fn wrong_use_of_an_option() {
    let both = place(&[]).run(&["config", "-q", "-v"], &[]);
    assert!(both.contains("exit 2") && both.contains("cannot be used with"), "{both}");
    let half = place(&[]).run(&["config", "--option", "cores"], &[]);
    assert!(half.contains("exit 2") && half.contains("2 values required"), "{half}");
}

#[test]
fn unknown_flag() {
    insta::assert_snapshot!(place(&[]).run(&["config", "--hypervisr", "x"], &[]), @r"
    exit 2
    --- stdout
    --- stderr
    error: unexpected argument '--hypervisr' found

      tip: a similar argument exists: '--hypervisor'

    Usage: deployvm config --hypervisor <NAME|ADDRESS> [VM]...

    For more information, try '--help'.
    ");
}

#[test]
fn unknown_command() {
    insta::assert_snapshot!(place(&[]).run(&["confg"], &[]), @r"
    exit 2
    --- stdout
    --- stderr
    error: unrecognized subcommand 'confg'

      tip: a similar subcommand exists: 'config'

    Usage: deployvm [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn config_without_a_flake() {
    insta::assert_snapshot!(place(&[]).run(&["config", "--hypervisor", "local"], &[]), @r"
    exit 0
    --- stdout
    defaults.boot        60          built in
    defaults.guest.port  22          built in
    defaults.guest.user  root        built in
    defaults.guest.via   hypervisor  built in
    defaults.settle      3           built in
    defaults.verdict     30          built in
    defaults.within      30          built in
    hypervisor           local       --hypervisor
    --- stderr
    ");
}

const TOML: &str = r#"
hypervisor = "main"
[hypervisors.main]
address = "root@hv.example"
[defaults]
settle = 7
[vms.vm2]
tags = ["web", "db"]
[vms."my.vm".checks.web]
http = "http://10.0.0.2/"
[environments.staging.hypervisors.main]
address = "root@stage.example:2222"
"#;

#[test]
fn config_with_layers() {
    let variables = [("DEPLOYVM_ENV", "staging"), ("DEPLOYVM_VMS__vm2__ADDRESS", "10.2.0.2")];
    insta::assert_snapshot!(flake(TOML).run(&["config", "--no-eval", "-H", "other"], &variables), @r#"
    exit 0
    --- stdout
    environment                  staging, of staging      DEPLOYVM_ENV
    defaults.boot                60                       built in
    defaults.guest.port          22                       built in
    defaults.guest.user          root                     built in
    defaults.guest.via           hypervisor               built in
    defaults.settle              7                        deployvm.toml
    defaults.verdict             30                       built in
    defaults.within              30                       built in
    hypervisor                   other                    --hypervisor
    hypervisors.main.address     root@stage.example:2222  deployvm.toml [environments.staging]
    vms."my.vm".checks.web.http  http://10.0.0.2/         deployvm.toml
    vms.vm2.address              10.2.0.2                 DEPLOYVM_VMS__vm2__ADDRESS
    vms.vm2.tags                 web, db                  deployvm.toml
    --- stderr
    "#);
}

#[test]
fn config_as_json() {
    let small =
        "hypervisor = 'main'\nhypervisors.main.address = 'hv'\n[environments.prod]\ndefaults.boot = 90";
    insta::assert_snapshot!(flake(small).run(&["config", "--no-eval", "--json", "-e", "prod"], &[]), @r#"
    exit 0
    --- stdout
    {"schema":1,"chosen_by":"--env","environment":"prod","environments":["prod"],"settings":[{"key":"defaults.boot","layer":"environment","source":"deployvm.toml [environments.prod]","value":90},{"key":"defaults.guest.port","layer":"built-in","source":"built in","value":22},{"key":"defaults.guest.user","layer":"built-in","source":"built in","value":"root"},{"key":"defaults.guest.via","layer":"built-in","source":"built in","value":"hypervisor"},{"key":"defaults.settle","layer":"built-in","source":"built in","value":3},{"key":"defaults.verdict","layer":"built-in","source":"built in","value":30},{"key":"defaults.within","layer":"built-in","source":"built in","value":30},{"key":"hypervisor","layer":"file","source":"deployvm.toml","value":"main"},{"key":"hypervisors.main.address","layer":"file","source":"deployvm.toml","value":"hv"}]}
    --- stderr
    "#);
}

#[test]
fn unknown_key_in_the_file() {
    insta::assert_snapshot!(flake("[vms.vm2]\nadress = '10.0.0.2'").run(&["config"], &[]), @r#"
    exit 2
    --- stdout
    --- stderr
      × unknown setting vms.vm2.adress in deployvm.toml
      help: did you mean "address"? known here: address, after, boot, checks, guest,
            hypervisor, settle, tags, verdict, within
    "#);
}

#[test]
fn bad_toml() {
    insta::assert_snapshot!(flake("[vms.vm2\nboot = 1").run(&["config"], &[]), @r"
    exit 2
    --- stdout
    --- stderr
      × deployvm.toml is not valid TOML: unclosed table, expected `]`
      ╰─▶ TOML parse error at line 1, column 9
            |
          1 | [vms.vm2
            |         ^
          unclosed table, expected `]`
      help: correct DIR/deployvm.toml
    ");
}

#[test]
fn unknown_environment() {
    insta::assert_snapshot!(flake(TOML).run(&["config", "--env", "stagin"], &[]), @r#"
    exit 2
    --- stdout
    --- stderr
      × there is no environment "stagin" in deployvm.toml
      help: did you mean "staging"? known: staging
    "#);
}

#[test]
fn bad_hypervisor() {
    insta::assert_snapshot!(place(&[]).run(&["config", "-H", "root@hv;reboot"], &[]), @r#"
    exit 2
    --- stdout
    --- stderr
      × --hypervisor is "root@hv;reboot", not a valid hypervisor address: its
      │ host must be a name or an IP address, starting with a letter or digit
      help: write [USER@]HOST[:PORT], or "local" for this machine
    "#);
}

#[test]
fn bad_variable() {
    insta::assert_snapshot!(place(&[]).run(&["config"], &[("DEPLOYVM_DEFAULTS__SETTEL", "5")]), @r"
    exit 2
    --- stdout
    --- stderr
      × the variable DEPLOYVM_DEFAULTS__SETTEL names no setting
      help: did you mean DEPLOYVM_DEFAULTS__SETTLE?
    ");
}

#[test]
fn bad_value_of_a_variable() {
    insta::assert_snapshot!(place(&[]).run(&["config"], &[("DEPLOYVM_DEFAULTS__SETTLE", "5s")]), @r#"
    exit 2
    --- stdout
    --- stderr
      × DEPLOYVM_DEFAULTS__SETTLE is the text "5s"
      help: it must be a whole number of seconds from 0 to 3600
    "#);
}
