//! The stage `build` against the real Nix of this machine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod flakes;

use deployvm::error::Aftermath;
use deployvm::host::process;
use deployvm::model::argv::Argv;
use deployvm::model::event::{Event, Events};
use deployvm::model::inventory::Wanted;
use deployvm::stage::build::{NotBuilt, build_local, closure_of};
use deployvm::stage::evaluate::EvalRequest;
use flakes::Place;

async fn wanted(place: &Place, words: &[&str]) -> Vec<Wanted> {
    let words = words.iter().map(|w| (*w).to_owned()).collect();
    let (inventory, _) = place.evaluate(&EvalRequest { words, ..place.request() }).await;
    inventory.unwrap().vms.into_values().collect()
}

#[tokio::test]
async fn builds_what_is_missing_and_nothing_else() {
    let place = Place::new();
    place.write("flake.nix", flakes::FOUR);
    let wanted = wanted(&place, &["vm1", "vm2"]).await;
    let (events, mut heard) = Events::channel();
    let built = build_local(&wanted, &place.options(), &events).await.unwrap();
    assert_eq!(built.made().len(), 2);
    let mut names = Vec::new();
    let mut lines = Vec::new();
    while let Ok(event) = heard.try_recv() {
        match event {
            Event::Building { derivation } => names.push(derivation),
            Event::BuildLog { line } => lines.push(line),
            _ => (),
        }
    }
    names.sort();
    assert_eq!(names, ["microvm-qemu-vm1", "microvm-qemu-vm2"]);
    assert!(lines.contains(&"building vm1".to_owned()), "{lines:?}");
    let again = build_local(&wanted, &place.options(), &events).await.unwrap();
    assert!(again.made().is_empty() && heard.try_recv().is_err());

    let closure = closure_of(&wanted[0].runner, &place.options()).await.unwrap();
    assert_eq!(closure.paths.len(), 1);
    assert!(closure.bytes() > 0);
    let nowhere = "/nix/store/00000000000000000000000000000000-nothing".parse().unwrap();
    assert!(closure_of(&nowhere, &place.options()).await.is_err());
}

#[tokio::test]
async fn a_failure_names_the_derivation_the_vm_and_the_last_lines() {
    let place = Place::new();
    let dep = r#"derivation { name = "dep"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo first; echo broken; exit 3" ]; }"#;
    let flake = flakes::FOUR.replace(
        "echo building ${name};",
        &format!("echo building ${{name}} ${{if name == \"vm2\" then {dep} else \"\"}};"),
    );
    place.write("flake.nix", &flake);
    let wanted = wanted(&place, &["vm1", "vm2"]).await;
    let (events, _heard) = Events::channel();
    let Err(NotBuilt::Failed(failure)) = build_local(&wanted, &place.options(), &events).await else {
        panic!()
    };
    assert_eq!(failure.aftermath, Aftermath::NotBuilt);
    assert_eq!(failure.message, "cannot build dep for vm2: builder failed with exit code 3");
    assert_eq!(failure.output, ["first", "broken"]);
    let help = failure.help.unwrap();
    assert!(help.contains("nix log /nix/store/") && help.ends_with("-dep.drv"), "{help}");
}

#[tokio::test]
async fn another_system_is_told_as_such() {
    let place = Place::new();
    place.write("flake.nix", &flakes::FOUR.replace("x86_64-linux", "riscv64-linux"));
    let wanted = wanted(&place, &["vm1"]).await;
    let (events, _heard) = Events::channel();
    let Err(NotBuilt::Failed(failure)) = build_local(&wanted, &place.options(), &events).await else {
        panic!()
    };
    assert!(failure.help.as_ref().unwrap().contains("--build-on hypervisor"), "{failure:?}");
}

#[tokio::test]
async fn a_derivation_that_was_collected_is_noticed() {
    let place = Place::new();
    place.write("flake.nix", flakes::FOUR);
    let wanted = wanted(&place, &["vm1"]).await;
    let mut delete = Argv::new("nix-store").args(["--delete", wanted[0].drv.as_str()]);
    for (name, value) in place.options() {
        delete = delete.args(["--option".to_owned(), name, value]);
    }
    assert!(process::run(&delete).await.unwrap().ok());
    let (events, _heard) = Events::channel();
    let gone = build_local(&wanted, &place.options(), &events).await.unwrap_err();
    assert_eq!(gone, NotBuilt::Gone(vec!["vm1".parse().unwrap()]));
}
