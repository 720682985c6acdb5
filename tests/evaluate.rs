//! The stages `evaluate` and `build` against the real Nix of this machine, on tiny
//! flakes that need no nixpkgs: raw derivations in the shape of microvm.nix. The
//! store is a private one in a temporary directory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary that it is about")]

mod flakes;

use deployvm::error::Aftermath;
use deployvm::model::event::{Event, Events};
use deployvm::model::name::VmName;
use deployvm::stage::evaluate::{EvalRequest, evaluate, locate};
use flakes::{Place, evaluated};

fn vm(name: &str) -> VmName {
    name.parse().unwrap()
}

/// What the command says that somebody is told to type, to see more.
fn typed(help: &str) -> String {
    let (_, command) = help.split_once("to see all that Nix says: ").unwrap();
    let ran = std::process::Command::new("sh")
        .args(["-c", command])
        .env("NIX_CONFIG", "experimental-features = nix-command flakes")
        .output()
        .unwrap();
    assert!(!ran.status.success());
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

#[tokio::test]
async fn what_throws_can_be_looked_at() {
    let place = Place::new();
    place.write("flake.nix", flakes::FOUR);
    place.commit();
    for (throws, what) in [
        ("{ outputs = _: throw \"it's all\"; }", "it's all"),
        ("{ outputs = _: { nixosConfigurations = throw \"no, not this\"; }; }", "no, not this"),
        ("{ outputs = _: { nixosConfigurations = { }; deployvm = throw \"nor this\"; }; }", "nor this"),
    ] {
        place.write("flake.nix", throws);
        let failure = place.failure(&place.request()).await;
        assert_eq!(failure.aftermath.code(), 10, "{failure:?}");
        assert!(failure.message.ends_with(what), "{failure:?}");
        assert!(typed(failure.help.as_deref().unwrap()).contains(what), "{failure:?}");
    }
}

#[tokio::test]
async fn one_broken_vm_leaves_the_others_whole() {
    let place = Place::new();
    place.write("flake.nix", flakes::FOUR);
    place.commit();
    let (inventory, events) = place.evaluate(&place.request()).await;
    let inventory = inventory.unwrap();
    assert_eq!(inventory.names, ["hypervisor", "vm1", "vm2", "vm3", "vm4"]);
    assert_eq!(inventory.vms.keys().cloned().collect::<Vec<_>>(), [vm("vm1"), vm("vm2"), vm("vm4")]);
    let broken = &inventory.broken[&vm("vm3")];
    assert!(broken.starts_with("vm3 is not finished"), "{broken}");
    assert!(typed(broken).contains("vm3 is not finished"), "{broken}");
    let vm1 = &inventory.vms[&vm("vm1")];
    assert_eq!(vm1.runner.name(), "microvm-qemu-vm1");
    assert!(vm1.drv.is_derivation() && vm1.toplevel.is_some() && vm1.sshd);
    assert_eq!(vm1.addresses, ["10.1.0.2".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(vm1.taps().collect::<Vec<_>>(), ["vm-vm1"]);
    assert_eq!((vm1.mem, vm1.vcpu, vm1.hypervisor.as_deref()), (Some(256), Some(2), Some("qemu")));
    assert_eq!(vm1.volumes, ["/var/data.img"]);
    assert!(!inventory.flake.dirty && inventory.flake.revision.is_some());
    // The hypervisor is asked too, and is none.
    assert_eq!(evaluated(&events), (4, 1, 0));
    assert_eq!(events.last(), Some(&Event::PhaseEnded { name: "evaluate", ok: true }));
}

#[tokio::test]
async fn what_is_known_is_not_evaluated_again() {
    let place = Place::new();
    place.write("flake.nix", flakes::FOUR);
    place.commit();
    let one = EvalRequest { words: vec!["vm1".into()], ..place.request() };
    let (first, events) = place.evaluate(&one).await;
    assert_eq!(evaluated(&events), (1, 0, 0));
    let (again, events) = place.evaluate(&one).await;
    assert_eq!(evaluated(&events), (0, 0, 1));
    assert_eq!(first.unwrap(), again.unwrap());
    // Now all: vm1 is known, and what is broken never becomes known.
    let (_, events) = place.evaluate(&place.request()).await;
    assert_eq!(evaluated(&events), (3, 1, 1));
    let (all, events) = place.evaluate(&place.request()).await;
    assert_eq!(evaluated(&events), (0, 1, 4));
    assert_eq!(all.unwrap().vms.len(), 3);
    let elsewhere = EvalRequest { cache_dir: None, ..one };
    let (_, events) = place.evaluate(&elsewhere).await;
    assert_eq!(evaluated(&events), (1, 0, 0));
}

#[tokio::test]
async fn a_dirty_tree_is_known_by_its_content() {
    let place = Place::new();
    place.write("flake.nix", flakes::FOUR);
    let commit = place.commit();
    place.write("flake.nix", &flakes::FOUR.replace("mem = 256", "mem = 512"));
    let one = EvalRequest { words: vec!["vm1".into()], ..place.request() };
    let (inventory, events) = place.evaluate(&one).await;
    let inventory = inventory.unwrap();
    assert_eq!(evaluated(&events), (1, 0, 0));
    assert!(inventory.flake.dirty);
    assert_eq!(inventory.flake.revision.as_deref(), Some(commit.as_str()));
    assert_eq!(inventory.vms[&vm("vm1")].mem, Some(512));
    assert_eq!(evaluated(&place.evaluate(&one).await.1), (0, 0, 1));
    place.write("flake.nix", &flakes::FOUR.replace("mem = 256", "mem = 768"));
    let (inventory, events) = place.evaluate(&one).await;
    assert_eq!(evaluated(&events), (1, 0, 0));
    assert_eq!(inventory.unwrap().vms[&vm("vm1")].mem, Some(768));
    // The commit is still there to be had.
    let flake = locate(Some(place.dir.as_str()), Some("HEAD"), &place.dir).unwrap();
    let (inventory, _) = place.evaluate(&EvalRequest { flake, ..one }).await;
    assert_eq!(inventory.unwrap().vms[&vm("vm1")].mem, Some(256));
}

#[tokio::test]
async fn an_edit_in_the_middle_is_noticed() {
    let place = Place::new();
    place.write("flake.nix", flakes::FOUR);
    let (events, mut heard) = Events::channel();
    let edit_once = async {
        while let Some(event) = heard.recv().await {
            if matches!(event, Event::Evaluated { .. }) {
                place.write("flake.nix", &flakes::FOUR.replace("mem = 256", "mem = 512"));
                break;
            }
        }
    };
    let request = EvalRequest { jobs: Some(1), ..place.request() };
    let (inventory, ()) = tokio::join!(evaluate(&request, &events), edit_once);
    let memory: Vec<_> = inventory.unwrap().vms.values().map(|w| w.mem).collect();
    assert_eq!(memory, [Some(512), Some(512), Some(512)]);
    drop(events);
    let mut warnings = 0;
    while let Some(event) = heard.recv().await {
        warnings += usize::from(matches!(event, Event::Warning { .. }));
    }
    assert_eq!(warnings, 1);
    // Nothing of the mixture is remembered.
    place.write("flake.nix", flakes::FOUR);
    let (inventory, _) = place.evaluate(&request).await;
    assert!(inventory.unwrap().vms.values().all(|w| w.mem == Some(256)));
}

#[tokio::test]
async fn a_file_that_git_does_not_know_is_named() {
    let place = Place::new();
    place.write("flake.nix", &flakes::FOUR.replace("mem = 256", "mem = import ./mem.nix"));
    place.commit();
    place.write("mem.nix", "128");
    let one = EvalRequest { words: vec!["vm1".into()], ..place.request() };
    let (inventory, _) = place.evaluate(&one).await;
    let inventory = inventory.unwrap();
    let broken = &inventory.broken[&vm("vm1")];
    let hint = format!("git -C {} add mem.nix", place.dir);
    assert!(broken.contains(&hint), "{broken}");
    // Tracked, it changes the flake's content: nothing known applies any more.
    place.track("mem.nix");
    let (inventory, events) = place.evaluate(&one).await;
    assert_eq!(evaluated(&events), (1, 0, 0));
    assert_eq!(inventory.unwrap().vms[&vm("vm1")].mem, Some(128));
}

#[tokio::test]
async fn a_new_flake_that_is_not_tracked_is_told_so() {
    let place = Place::new();
    std::fs::write(place.dir.join("flake.nix"), flakes::FOUR).unwrap();
    let failure = place.failure(&place.request()).await;
    let hint = format!("git -C {} add flake.nix", place.dir);
    assert!(failure.help.as_ref().unwrap().contains(&hint), "{failure:?}");
}

#[tokio::test]
async fn a_missing_lock_is_not_written() {
    let place = Place::new();
    let dep = place.outside("dep", "{ outputs = _: { mem = 99; }; }");
    let flake = flakes::FOUR
        .replace("outputs = { self }", &format!("inputs.dep.url = \"path:{dep}\"; outputs = {{ self, dep }}"))
        .replace("mem = 256", "mem = dep.mem");
    place.write("flake.nix", &flake);
    place.commit();
    let one = EvalRequest { words: vec!["vm1".into()], ..place.request() };
    let (inventory, _) = place.evaluate(&one).await;
    assert_eq!(inventory.unwrap().vms[&vm("vm1")].mem, Some(99));
    assert!(!place.dir.join("flake.lock").exists());
    // An override is another evaluation.
    let other = place.outside("other", "{ outputs = _: { mem = 11; }; }");
    let overrides = vec![("dep".to_owned(), format!("path:{other}"))];
    let (inventory, events) = place.evaluate(&EvalRequest { overrides, ..one }).await;
    assert_eq!(evaluated(&events), (1, 0, 0));
    assert_eq!(inventory.unwrap().vms[&vm("vm1")].mem, Some(11));
}

#[tokio::test]
async fn a_flake_that_cannot_be_read_ends_the_command() {
    let place = Place::new();
    place.write("flake.nix", "{ outputs = _: { a = ; }; }");
    let failure = place.failure(&place.request()).await;
    assert_eq!(failure.aftermath, Aftermath::NotBuilt);
    assert!(failure.message.contains("syntax error, unexpected ';'"), "{failure}");
    assert!(failure.output.iter().any(|l| l.contains("flake.nix:1:22")), "{failure:?}");

    place.write("flake.nix", "{ outputs = _: { }; }");
    let failure = place.failure(&place.request()).await;
    assert_eq!(failure.aftermath, Aftermath::Usage);
    assert!(failure.message.contains("nixosConfigurations"), "{failure}");

    let nowhere = EvalRequest { flake: place.dir.join("nowhere").into_string(), ..place.request() };
    assert_eq!(place.failure(&nowhere).await.aftermath, Aftermath::Usage);
}

#[tokio::test]
async fn settings_of_a_wrong_type_are_named_by_key() {
    let place = Place::new();
    for (text, key) in [
        ("deployvm = 5;", "`deployvm` is wrong"),
        ("deployvm.vms.vm1.tags = \"web\";", "`deployvm.vms.vm1.tags` is wrong"),
        ("deployvm.hypervisor = { };", "the nearest known key is `hypervisors`"),
        ("deployvm.vms = x: x;", "cannot convert a function to JSON"),
    ] {
        place.write("flake.nix", &flakes::FOUR.replace("# more", text));
        let failure = place.failure(&place.request()).await;
        assert_eq!(failure.aftermath, Aftermath::Usage, "{failure:?}");
        assert!(failure.message.contains(key), "{failure}");
    }
    place
        .write("flake.nix", &flakes::FOUR.replace("services.", "deployvm.guest.via = \"pigeon\"; services."));
    let failure = place.failure(&place.request()).await;
    assert_eq!(failure.aftermath, Aftermath::Usage);
    assert!(failure.message.contains("config.deployvm.guest.via"), "{failure}");
}

#[tokio::test]
async fn settings_are_read_although_a_package_has_the_same_name() {
    let place = Place::new();
    let more = "deployvm.vms.vm1.tags = [ \"web\" ]; deployvm.vms.vm9 = { }; \
                packages.x86_64-linux.deployvm = runner \"x\";";
    place.write("flake.nix", &flakes::FOUR.replace("# more", more));
    let web = EvalRequest { words: vec!["@web".into()], ..place.request() };
    let (inventory, events) = place.evaluate(&web).await;
    let inventory = inventory.unwrap();
    assert_eq!(inventory.vms.into_keys().collect::<Vec<_>>(), [vm("vm1")]);
    let strange = |e: &Event| matches!(e, Event::Warning { message } if message.contains("vm9"));
    assert!(events.iter().any(strange), "{events:?}");
}

#[tokio::test]
async fn an_unusable_name_is_told_when_it_is_chosen() {
    let place = Place::new();
    let more = "nixosConfigurations.\"my vm\" = vm \"my-vm\"; nixosConfigurations.\"my host\".config = { };";
    let flake = flakes::FOUR
        .replace("nixosConfigurations = {", "nixosConfigurations = { inherit (odd) \"my vm\" \"my host\";");
    let flake = flake.replace("in {", &format!("odd = ({{ {more} }}).nixosConfigurations; in {{"));
    place.write("flake.nix", &flake);
    let failure = place.failure(&place.request()).await;
    assert_eq!(failure.aftermath, Aftermath::Usage);
    assert!(failure.message.contains("\"my vm\" is not a valid VM name"), "{failure}");
    for word in ["vm1", "my h*"] {
        let one = EvalRequest { words: vec![word.into()], ..place.request() };
        place.evaluate(&one).await.0.unwrap();
    }
}

/// `deployvm config` on this flake, with the private store.
fn config(place: &Place, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_deployvm"));
    command.args(["config", "--flake", place.dir.as_str()]).args(args).env("HOME", place.dir.as_str());
    command.env("XDG_CACHE_HOME", place.dir.with_file_name("cache"));
    place.options().iter().for_each(|(name, value)| {
        command.args(["--option", name, value]);
    });
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn config_has_what_the_flake_says() {
    let place = Place::new();
    let more = "deployvm.hypervisors.main.address = \"root@hv\"; deployvm.vms.vm1.boot = 50;";
    let own = "deployvm = { boot = 70; settle = 9; }; services.";
    place.write("flake.nix", &flakes::FOUR.replace("# more", more).replace("services.", own));
    place.write("deployvm.toml", "[defaults]\nsettle = 4\n[environments.far.vms.vm2]\nboot = 95\n");
    place.track("deployvm.toml");

    let (code, all, stderr) = config(&place, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    let has = |text: &str, words: &[&str]| {
        let found = text.lines().any(|line| {
            let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
            cells == words
        });
        assert!(found, "{words:?}: {text}");
    };
    has(&all, &["environment", "none of far", "choose one with --env"]);
    has(&all, &["hypervisors.main.address", "root@hv", "the flake's deployvm output"]);
    has(&all, &["vms.vm1.boot", "50", "the flake's deployvm output"]);
    has(&all, &["defaults.settle", "4", "deployvm.toml"]);
    assert!(!all.contains("70"), "what VMs say is asked of chosen VMs only: {all}");

    // With VMs: what holds for each, their own configurations between the two.
    let (code, vms, stderr) = config(&place, &["--env", "far", "vm1", "vm2"]);
    assert_eq!(code, Some(0), "{stderr}");
    has(&vms, &["environment", "far, of far", "--env"]);
    has(&vms, &["vms.vm1.boot", "50", "the flake's deployvm output"]);
    has(&vms, &["vms.vm1.settle", "9", "the configuration of vm1"]);
    has(&vms, &["vms.vm2.boot", "95", "deployvm.toml [environments.far]"]);

    let (code, none, _) = config(&place, &["--no-eval"]);
    assert!(code == Some(0) && !none.contains("root@hv"), "{none}");
    // A VM that cannot be evaluated has no settings that could be shown.
    let (code, _, stderr) = config(&place, &["vm3"]);
    assert!(code == Some(10) && stderr.contains("vm3 is not finished"), "{code:?} {stderr}");
}
