//! Tests of the selection in `choose.rs`.

use super::*;
use crate::model::settings::VmSettings;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|n| (*n).to_owned()).collect()
}

fn vm(name: &str) -> VmName {
    name.parse().unwrap()
}

fn tagged(tags: &[&str]) -> Option<Vec<Word>> {
    Some(tags.iter().map(|t| t.parse().unwrap()).collect())
}

fn wanted(name: &str, tags: &[&str]) -> Option<Wanted> {
    let path = format!("/nix/store/{}-{name}", "a".repeat(32));
    let drv = format!("{path}.drv").parse().unwrap();
    Some(Wanted {
        settings: Some(VmSettings { tags: tagged(tags), ..VmSettings::default() }),
        ..Wanted::new(vm(name), "x86_64-linux".into(), drv, path.parse().unwrap())
    })
}

fn output(tags: &[(&str, &[&str])]) -> DeployvmOutput {
    let vms = tags.iter().map(|(n, t)| (vm(n), VmSettings { tags: tagged(t), ..VmSettings::default() }));
    DeployvmOutput { vms: vms.collect(), ..DeployvmOutput::default() }
}

const NAMES: &[&str] = &["hv", "vm1", "vm2", "web host"];

fn pick(words: &[&str]) -> Result<Chosen> {
    choose(&names(NAMES), None, &names(words), &BTreeMap::new())
}

#[test]
fn no_word_means_all() {
    let chosen = pick(&[]).unwrap();
    assert_eq!(chosen.to_evaluate(), [vm("hv"), vm("vm1"), vm("vm2")]);
    assert!(chosen.odd.contains("web host"));
    let answers = BTreeMap::from([(vm("hv"), None), (vm("vm1"), wanted("vm1", &[]))]);
    let (vms, _) = chosen.settle(&answers, BTreeMap::new()).unwrap();
    assert_eq!(vms.into_keys().collect::<Vec<_>>(), [vm("vm1")]);
}

#[test]
fn names_and_globs_choose() {
    assert_eq!(pick(&["vm*"]).unwrap().to_evaluate(), [vm("vm1"), vm("vm2")]);
    assert!(pick(&["vm*"]).unwrap().odd.is_empty());
    assert!(pick(&["vm[9]"]).is_err() && pick(&["vm["]).is_err());
    let error = pick(&["vm3"]).unwrap_err();
    assert_eq!(error.message, "the flake has no microVM 'vm3'");
    assert_eq!(error.help.as_deref(), Some("its configurations are vm1, vm2, hv, web host"));
}

#[test]
fn a_host_that_is_named_is_an_error() {
    let answers = BTreeMap::from([(vm("hv"), None)]);
    let error = pick(&["hv"]).unwrap().settle(&answers, BTreeMap::new()).unwrap_err();
    assert!(error.message.contains("not a microVM"), "{error}");
    assert!(error.help.as_deref().unwrap().ends_with("deployvm host push"), "{error:?}");
    assert!(pick(&["h*"]).unwrap().settle(&answers, BTreeMap::new()).unwrap().0.is_empty());
}

#[test]
fn an_unusable_name_matters_only_to_a_chosen_microvm() {
    let odd = BTreeSet::from(["web host".to_owned()]);
    assert!(refuse_misnamed(&odd, &[]).is_ok());
    let error = refuse_misnamed(&odd, &names(&["web host"])).unwrap_err();
    assert!(error.message.contains("\"web host\" is not a valid VM name"), "{error}");
}

#[test]
fn tags_come_from_settings_the_flake_and_the_vm_itself() {
    let flake = output(&[("vm1", &["web"])]);
    let by_file = BTreeMap::from([(vm("vm2"), tagged(&["db"]).unwrap())]);
    let choose_in = |tags: &BTreeMap<VmName, Vec<Word>>| {
        choose(&names(&["vm1", "vm2", "vm3"]), Some(&flake), &names(&["@web"]), tags).unwrap()
    };
    // vm2's tags are settled elsewhere, so that only vm3 must be asked itself.
    let chosen = choose_in(&by_file);
    assert_eq!(chosen.to_evaluate(), [vm("vm1"), vm("vm3")]);
    let answers = BTreeMap::from([
        (vm("vm1"), wanted("vm1", &[])),
        (vm("vm2"), wanted("vm2", &["web"])),
        (vm("vm3"), wanted("vm3", &["web"])),
    ]);
    let (vms, _) = chosen.settle(&answers, BTreeMap::new()).unwrap();
    assert_eq!(vms.into_keys().collect::<Vec<_>>(), [vm("vm1"), vm("vm3")]);
}

#[test]
fn a_tag_that_nothing_has_is_an_error() {
    let chosen = pick(&["@web"]).unwrap();
    let answers = BTreeMap::from([(vm("vm1"), wanted("vm1", &["db"]))]);
    assert!(chosen.settle(&answers, BTreeMap::new()).unwrap_err().message.contains("the tag 'web'"));
}
