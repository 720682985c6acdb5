//! Names and values that nobody should write, on the command line, in the environment, in
//! `deployvm.toml` and in flakes: each has a diagnostic that drives no terminal, and nothing
//! is run, written or looked up. Flakes are evaluated by the real Nix of this machine.

#![expect(clippy::disallowed_methods, reason = "a test starts the binary that it is about")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod flakes;

use std::process::Command;

use deployvm::cli::args::Global;
use deployvm::cli::settings::Layers;
use deployvm::error::{Failure, drives};
use deployvm::model::name::VmName;
use deployvm::stage::evaluate::EvalRequest;
use flakes::Place;

/// No name of anything.
const BAD: [&str; 24] = [
    "a b",
    "'",
    "\"",
    "a'b",
    "a;touch executed",
    "$(touch executed)",
    "`touch executed`",
    "a|b",
    "a&b",
    ">executed",
    "a\nb",
    "a\tb",
    "-x",
    "--help",
    "-oProxyCommand=touch executed",
    "é",
    "\u{202e}abc",
    "\u{1b}[2J",
    "../x",
    "/etc",
    "~",
    "a%b",
    "#",
    "",
];

fn bad() -> Vec<String> {
    let mut all: Vec<String> = BAD.iter().map(|text| (*text).to_owned()).collect();
    all.push("x".repeat(300));
    all.push(format!("{}.x", "é".repeat(300)));
    all
}

/// Runs the binary where there is nothing but these files, and sees that nothing came of it.
#[track_caller]
fn refused(args: &[&str], variables: &[(&str, &str)], toml: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".git")).unwrap();
    std::fs::write(dir.path().join("flake.nix"), "{ outputs = _: { }; }").unwrap();
    std::fs::write(dir.path().join("deployvm.toml"), toml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_deployvm"));
    command.args(args).current_dir(dir.path()).env_clear().envs(variables.iter().copied());
    // Programs that must not be needed: ssh, nix.
    command.env("PATH", dir.path().join("bin"));
    let output = command.output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(2), "{args:?} {variables:?} {toml:?}\n{said}");
    harmless(&said);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{args:?} left {left:?}");
    said
}

#[track_caller]
fn harmless(said: &str) {
    assert!(said.chars().all(|c| c == '\n' || !drives(c)), "it drives the terminal: {said:?}");
}

fn toml_text(text: &str) -> String {
    serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f")
}

#[test]
fn on_the_command_line() {
    for bad in bad() {
        // A name that looks like an option reaches the command only behind `--`.
        for verb in ["generations", "retire", "run", "ssh", "console"] {
            refused(&[verb, "-H", "local", "--", &bad], &[], "");
        }
        refused(&["pin", "-H", "local", "--", &bad, "1"], &[], "");
        refused(&["pin", "-H", "local", "--", "vm1", &bad], &[], "");
        refused(&["rollback", "vm1", "-H", "local", &format!("--to={bad}")], &[], "");
        refused(&["diff", "vm1", "-H", "local", &format!("--from={bad}")], &[], "");
        if bad != "~" && bad != "#" {
            refused(&["push", "-H", "hv", &format!("--env={bad}")], &[], "");
        }
        refused(&["config", &format!("--hypervisor={bad}")], &[], "");
        refused(&["push", "-j", &bad], &[], "");
    }
    for number in ["-1", "18446744073709551616", "1e3", "0x1", " 1", "1 "] {
        refused(&["rollback", "vm1", "-H", "local", &format!("--to={number}")], &[], "");
    }
}

#[test]
fn in_the_environment() {
    for bad in bad().iter().filter(|bad| !bad.is_empty()) {
        refused(&["config"], &[("DEPLOYVM_HYPERVISOR", bad)], "");
        refused(&["config"], &[("DEPLOYVM_ENV", bad)], "");
        refused(&["config"], &[("DEPLOYVM_VMS__vm1__TAGS", bad)], "");
        refused(&["config"], &[("DEPLOYVM_VMS__vm1__GUEST__USER", bad)], "");
        refused(&["config"], &[("DEPLOYVM_DEFAULTS__BOOT", bad)], "");
        if !bad.contains('=') {
            refused(&["config"], &[(&format!("DEPLOYVM_VMS__{bad}__BOOT"), "60")], "");
            refused(&["config"], &[(&format!("DEPLOYVM_{bad}"), "60")], "");
        }
    }
}

#[test]
fn in_the_file() {
    for bad in bad() {
        let text = toml_text(&bad);
        for toml in [
            format!("[vms.{text}]\nboot = 60"),
            format!("[hypervisors.{text}]\naddress = \"hv\""),
            format!("[environments.{text}]\nhypervisor = \"hv\""),
            format!("[vms.vm1.checks.{text}]\nping = \"10.0.0.1\""),
            format!("vms.vm1.tags = [\"web\", {text}]"),
            format!("vms.vm1.after = [{text}]"),
            format!("vms.vm1.guest.user = {text}"),
            format!("vms.vm1.guest.via = {text}"),
            format!("vms.vm1.address = {text}"),
            format!("hypervisor = {text}"),
            format!("hypervisors.main.address = {text}"),
            format!("{text} = 1"),
        ] {
            refused(&["config"], &[], &toml);
        }
    }
    for toml in [
        "\0",
        "a = [[[[[[",
        &"[".repeat(100_000),
        &format!("vms.vm1.tags = {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        &format!("{}x = 1", "a.".repeat(10_000)),
        &format!("vms.vm1.boot = {}", "9".repeat(10_000)),
        "vms = 5",
        "vms.vm1 = []",
        "vms.vm1.checks = \"x\"",
        "vms.vm1.boot = -1",
        "vms.vm1.boot = 1.5",
        "vms.vm1.boot = inf",
        "vms.vm1.boot = 1979-05-27",
        "vms.vm1.checks.web.exec = [\"a\\nb\"]",
        "vms.vm1.checks.web.http = \"http://x/\\u001b[2J\"",
        "hypervisors.local.address = \"hv\"",
    ] {
        refused(&["config"], &[], toml);
    }
}

/// A Nix string of this text.
fn nix(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${"))
}

/// How a flake is refused, be it by its evaluation or by its settings.
async fn settled(place: &Place, flake: &str) -> Result<(), Failure> {
    place.write("flake.nix", flake);
    let one = EvalRequest { words: vec!["vm1".into()], ..place.request() };
    let inventory = place.evaluate(&one).await.0?;
    let layers = Layers::from_parts(&Global::default(), None, [])?;
    let settled = layers.with_flake(inventory.output.as_ref())?;
    settled.check_vm_names(&inventory.names)?;
    for (vm, wanted) in &inventory.vms {
        let settings = settled.vm(vm, wanted.settings.as_ref())?;
        settled.hypervisor_for(&settings)?;
        deployvm::plan::checks::checks(wanted, &settings)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_output_of_wrong_types() {
    let place = Place::new();
    let with = |output: &str| flakes::FOUR.replace("# more", &format!("deployvm = {output};"));
    settled(&place, &with("{ hypervisors.main.address = \"hv\"; }")).await.unwrap();
    let mut outputs: Vec<String> = [
        "5",
        "\"x\"",
        "true",
        "[ ]",
        "1.5",
        "./.",
        "x: x",
        "{ x, y }: x",
        "{ vms = [ ]; }",
        "{ vms.vm1 = 5; }",
        "{ hypervisors = 1; }",
        "{ hypervisors.main = \"hv\"; }",
        "{ hypervisors.main.address = 1; }",
        "{ vms.vm1.tags = { }; }",
        "{ vms.vm1.checks.web.exec = \"x\"; }",
        "{ vms.vm1.boot = -1; }",
        "{ vms.vm1.boot = 1.5; }",
        "{ vms.vm1.boot = 99999999999; }",
        "{ vms.vm1.guest.port = 0; }",
        "{ vms.vm1.guest.port = 65536; }",
        "{ vms.vm1.checks.web = { }; }",
        "{ unknown = 1; }",
        "derivation { name = \"x\"; system = \"x\"; builder = \"x\"; }",
        "builtins.foldl' (a: _: [ a ]) 1 (builtins.genList (x: x) 1000)",
        "{ vms = builtins.foldl' (a: _: { inherit a; }) 1 (builtins.genList (x: x) 1000); }",
    ]
    .map(str::to_owned)
    .to_vec();
    for bad in ["$(touch executed)", "-oProxyCommand=x", "a\nb"] {
        let bad = nix(bad);
        outputs.push(format!("{{ vms.${{{bad}}} = {{ }}; }}"));
        outputs.push(format!("{{ hypervisors.${{{bad}}}.address = \"hv\"; }}"));
        outputs.push(format!("{{ hypervisors.main.address = {bad}; }}"));
        outputs.push(format!("{{ vms.vm1.hypervisor = {bad}; }}"));
        outputs.push(format!("{{ vms.vm1.tags = [ {bad} ]; }}"));
        outputs.push(format!("{{ vms.vm1.after = [ {bad} ]; }}"));
        outputs.push(format!("{{ vms.vm1.address = {bad}; }}"));
        outputs.push(format!("{{ vms.vm1.guest.user = {bad}; }}"));
        outputs.push(format!("{{ vms.vm1.checks.${{{bad}}}.ping = \"10.0.0.1\"; }}"));
        outputs.push(format!("{{ vms.vm1.checks.web.ping = {bad}; }}"));
        outputs.push(format!("{{ vms.vm1.checks.web.tcp = {bad}; }}"));
        outputs.push(format!("{{ vms.vm1.checks.web.http = {bad}; }}"));
    }
    for output in outputs {
        let failure = settled(&place, &with(&output)).await.unwrap_err();
        assert_eq!(failure.aftermath.code(), 2, "{output}: {failure:?}");
    }
    let failure = settled(&place, &with("throw \"not today\"")).await.unwrap_err();
    assert_eq!(failure.aftermath.code(), 10, "{failure:?}");
}

#[tokio::test]
async fn a_runner_that_is_none() {
    let place = Place::new();
    let runner = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-microvm";
    for (out, drv) in [
        (format!("{runner}\nx"), format!("{runner}.drv")),
        (runner.to_owned(), format!("{runner}\n.drv")),
        (format!("{runner}/../../../etc"), format!("{runner}.drv")),
        (format!("{runner}-$(touch executed)"), format!("{runner}.drv")),
        (format!("--{runner}"), format!("{runner}.drv")),
        ("/etc/passwd".to_owned(), format!("{runner}.drv")),
        (String::new(), String::new()),
    ] {
        let wrong = format!("{{ type = \"derivation\"; drvPath = {}; outPath = {}; }}", nix(&drv), nix(&out));
        let flake = flakes::FOUR.replacen("throw \"vm3 is not finished\"", &wrong, 1);
        assert_ne!(flake, flakes::FOUR);
        place.write("flake.nix", &flake);
        let inventory = place.evaluate(&place.request()).await.0.unwrap();
        let vm3: VmName = "vm3".parse().unwrap();
        assert!(inventory.broken.contains_key(&vm3) && inventory.vms.len() == 3, "{out:?}: {inventory:?}");
    }
    for other in
        ["declaredRunner = 5", "declaredRunner = x: x", "declaredRunner = [ ]", "declaredRunner = null"]
    {
        place.write(
            "flake.nix",
            &flakes::FOUR.replace(
                "microvm.declaredRunner = throw \"vm3 is not finished\"",
                &format!("microvm.{other}"),
            ),
        );
        let inventory = place.evaluate(&place.request()).await.0.unwrap();
        assert_eq!(inventory.vms.len(), 3, "{other}: {inventory:?}");
    }
    for (right, wrong) in [
        ("id = \"vm-${name}\"", "id = \"a b\""),
        ("id = \"vm-${name}\"", "id = \"../../x\""),
        ("interfaces = [", "interfaces = 5; x = ["),
    ] {
        place.write("flake.nix", &flakes::FOUR.replace(right, wrong));
        let inventory = place.evaluate(&place.request()).await.0.unwrap();
        assert!(inventory.vms.is_empty(), "{wrong}: {:?}", inventory.vms);
    }
}

#[tokio::test]
async fn names_in_a_flake() {
    let place = Place::new();
    let odd: Vec<String> = bad().into_iter().filter(|name| !name.is_empty()).collect();
    let all: String = odd.iter().map(|name| format!("${{{}}} = vm \"odd\"; ", nix(name))).collect();
    place.write("flake.nix", &flakes::FOUR.replace("vm1 = vm", &format!("{all} vm1 = vm")));
    let named = |word: &str| EvalRequest { words: vec![word.to_owned()], ..place.request() };
    // As names of microVMs they are refused, all and each, and in the way of no other.
    assert_eq!(place.failure(&place.request()).await.aftermath.code(), 2);
    for name in odd.iter().filter(|name| !name.contains(['*', '?', '[', '{', '@'])) {
        let failure = place.failure(&named(name)).await;
        assert_eq!(failure.aftermath.code(), 2, "{failure:?}");
        harmless(&deployvm::report::failure::text(&failure, deployvm::report::page::Page::PLAIN));
    }
    assert_eq!(place.evaluate(&named("vm1")).await.0.unwrap().vms.len(), 1);
    // As words that mean nothing, too. What does not evaluate might have any tag.
    place.write("flake.nix", &flakes::FOUR.replace("throw \"vm3 is not finished\"", "runner \"vm3\""));
    for word in bad().iter().chain(&[
        format!("[{}", "a".repeat(300)),
        "[!a]".repeat(20_000),
        "{a,b}".repeat(200),
        "@a b".to_owned(),
    ]) {
        let failure = place.failure(&named(word)).await;
        assert_eq!(failure.aftermath.code(), 2, "{failure:?}");
        harmless(&deployvm::report::failure::text(&failure, deployvm::report::page::Page::PLAIN));
    }
}
