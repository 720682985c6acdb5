//! Layers over layers, as a user would write them.

use super::*;
use crate::model::settings::Hypervisor;

const TOML: &str = r#"
hypervisor = "main"
[hypervisors.main]
address = "root@main"
[hypervisors.stage]
address = "root@stage"
[defaults]
settle = 7
guest.user = "admin"
[vms.vm2.checks.web]
within = 9
[environments.staging]
hypervisor = "stage"
[environments.staging.vms.vm2]
boot = 90
[environments.split.vms.vm2]
hypervisor = "other"
"#;

fn flake() -> DeployvmOutput {
    serde_json::from_value(json!({
        "hypervisors": { "main": { "address": "root@old", "flake": "git+https://x" }, "other": { "address": "o" } },
        "vms": {
            "vm1": { "tags": ["web"] },
            "vm2": { "hypervisor": "other", "checks": { "web": { "http": "http://x/", "status": 200, "within": 5 } } },
        },
    }))
    .unwrap()
}

struct Given {
    dir: tempfile::TempDir,
    global: Global,
    variables: Vec<(OsString, OsString)>,
}

fn given(toml: &str) -> Given {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("deployvm.toml"), toml).unwrap();
    Given { dir, global: Global::default(), variables: Vec::new() }
}

impl Given {
    fn env(mut self, name: &str) -> Self {
        self.global.env = Some(name.to_owned());
        self
    }
    fn flag(mut self, hypervisor: &str) -> Self {
        self.global.hypervisor = Some(hypervisor.to_owned());
        self
    }
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }
    fn layers(&self) -> Result<Layers> {
        let root = Utf8PathBuf::from_path_buf(self.dir.path().to_owned()).unwrap();
        Layers::from_parts(&self.global, Some(root), self.variables.clone())
    }
    fn settled(&self) -> Settled {
        self.layers().unwrap().with_flake(Some(&flake())).unwrap()
    }
    /// Hypervisors of vm1 and vm2, the latter with a word in its own configuration.
    fn hypervisors(&self) -> String {
        let settled = self.settled();
        let own = VmSettings { hypervisor: Some("own".to_owned()), ..VmSettings::default() };
        let one = |vm: &str, own: Option<&VmSettings>| {
            let vm = settled.vm(&vm.parse().unwrap(), own).unwrap();
            settled.hypervisor_for(&vm).unwrap().name
        };
        format!("{} {} {}", one("vm1", None), one("vm1", Some(&own)), one("vm2", Some(&own)))
    }
    fn refused(&self) -> String {
        let failure = match self.layers() {
            Err(failure) => failure,
            Ok(layers) => layers.with_flake(Some(&flake())).unwrap_err(),
        };
        assert_eq!(failure.aftermath.code(), 2);
        let said = format!("{} | {}", failure.message, failure.help.unwrap_or_default());
        said.replace(&*self.dir.path().to_string_lossy(), "DIR")
    }
}

#[test]
fn later_layers_win_key_by_key() {
    let given = given(TOML).env("staging").variable("DEPLOYVM_DEFAULTS__BOOT", "70").flag("root@hv");
    insta::assert_snapshot!(describe::layers(&given.settled()).table(), @r"
    environment                staging, of split, staging  --env
    defaults.boot              70                          DEPLOYVM_DEFAULTS__BOOT
    defaults.guest.port        22                          built in
    defaults.guest.user        admin                       deployvm.toml
    defaults.guest.via         hypervisor                  built in
    defaults.settle            7                           deployvm.toml
    defaults.verdict           30                          built in
    defaults.within            30                          built in
    hypervisor                 root@hv                     --hypervisor
    hypervisors.main.address   root@main                   deployvm.toml
    hypervisors.main.flake     git+https://x               the flake's deployvm output
    hypervisors.other.address  o                           the flake's deployvm output
    hypervisors.stage.address  root@stage                  deployvm.toml
    vms.vm1.tags               web                         the flake's deployvm output
    vms.vm2.boot               90                          deployvm.toml [environments.staging]
    vms.vm2.checks.web.http    http://x/                   the flake's deployvm output
    vms.vm2.checks.web.status  200                         the flake's deployvm output
    vms.vm2.checks.web.within  9                           deployvm.toml
    ");
}

#[test]
fn the_model_that_comes_out_is_complete() {
    let settled = given("").layers().unwrap().with_flake(None).unwrap();
    assert_eq!(settled.settings.defaults.deadlines(), Deadlines::default());
    assert_eq!(settled.settings.defaults.guest.as_ref().and_then(|g| g.port), Some(22));
    let typed = given(TOML).settled();
    let raw = given(TOML).layers().unwrap().with_flake_value(Some(serde_json::to_value(flake()).unwrap()));
    assert_eq!(typed.settings, raw.unwrap().settings);
}

#[test]
fn a_hypervisor_named_for_this_run_wins_over_what_is_said_of_single_vms() {
    assert_eq!(given("").variable("DEPLOYVM_SKIP", "x").flag("main").hypervisors(), "main main main");
    assert_eq!(given(TOML).hypervisors(), "main own other");
    assert_eq!(given(TOML).env("staging").hypervisors(), "stage stage stage");
    assert_eq!(given(TOML).env("split").hypervisors(), "main own other");
    assert_eq!(given(TOML).variable("DEPLOYVM_HYPERVISOR", "u@x").hypervisors(), "u@x u@x u@x");
    let both = given(TOML).env("staging").variable("DEPLOYVM_VMS__vm2__HYPERVISOR", "main");
    assert_eq!(both.hypervisors(), "stage stage main");
    assert_eq!(both.flag("other").hypervisors(), "other other other");
}

#[test]
fn an_address_that_is_known_by_name_has_that_name() {
    let target = given(TOML).flag("root@main").settled().hypervisor().unwrap();
    assert_eq!(target.name, "main");
    assert_eq!(target.settings.flake.as_deref(), Some("git+https://x"));
}

#[test]
fn only_what_the_flake_cannot_change_is_certain_before_it() {
    let certain = |given: Given| given.layers().unwrap().certain_hypervisor().map(|(name, _)| name);
    assert_eq!(certain(given(TOML)), None);
    assert_eq!(certain(given(TOML).env("staging")), Some("stage".to_owned()));
    assert_eq!(certain(given(TOML).flag("local")), Some("local".to_owned()));
    assert_eq!(certain(given(TOML).flag("root@x")), Some("root@x".to_owned()));
    assert_eq!(certain(given(TOML).flag("other")), None);
}

#[test]
fn a_vm_is_what_the_layers_say_over_its_own_configuration_over_the_defaults() {
    let own: VmSettings = serde_json::from_value(json!({
        "guest": { "port": 2222 }, "settle": 1, "boot": 2,
        "checks": { "web": { "tcp": "x:1" }, "own": { "ping": "x" } },
    }))
    .unwrap();
    let vm2 = given(TOML).env("staging").settled().vm(&"vm2".parse().unwrap(), Some(&own)).unwrap();
    assert_eq!((vm2.settle, vm2.boot, vm2.within), (Some(1), Some(90), Some(30)));
    let guest = vm2.guest.unwrap();
    assert_eq!((guest.user.as_deref(), guest.port), (Some("admin"), Some(2222)));
    let checks = vm2.checks.unwrap();
    let web = &checks[&"web".to_owned()];
    assert_eq!((web.http.as_deref(), web.tcp.as_deref(), web.within), (Some("http://x/"), None, Some(9)));
    assert!(checks.contains_key("own"));
}

#[test]
fn every_deadline_can_be_said_of_one_vm_in_every_layer() {
    let one = |key: &str| -> Vec<[u64; 2]> {
        let read = |given: Given, output: Value, own: Option<VmSettings>| {
            let settled = given.layers().unwrap().with_flake_value(Some(output)).unwrap();
            let value = |vm: &str, own: Option<&VmSettings>| {
                let settings = settled.vm(&vm.parse().unwrap(), own).unwrap();
                serde_json::to_value(settings.deadlines()).unwrap()[key].as_u64().unwrap()
            };
            [value("vm1", own.as_ref()), value("vm2", None)]
        };
        let said = json!({ key: 77 });
        let nothing = || json!({});
        let own = serde_json::from_value(said.clone()).unwrap();
        vec![
            read(given(""), json!({ "vms": { "vm1": said } }), None),
            read(given(""), nothing(), Some(own)),
            read(given(&format!("vms.vm1.{key} = 77")), nothing(), None),
            read(given(&format!("environments.slow.vms.vm1.{key} = 77")).env("slow"), nothing(), None),
            read(given("").variable(&format!("DEPLOYVM_VMS__vm1__{key}"), "77"), nothing(), None),
        ]
    };
    for (key, default) in [("settle", 3), ("boot", 60), ("within", 30), ("verdict", 30)] {
        assert_eq!(one(key), [[77, default]; 5], "{key}");
    }
}

#[test]
fn chosen_vms_have_one_hypervisor() {
    let settled = given(TOML).settled();
    let vms = ["vm1", "vm2", "vm3"].map(|vm| {
        let name: VmName = vm.parse().unwrap();
        (name.clone(), settled.vm(&name, None).unwrap())
    });
    let all = std::collections::BTreeMap::from(vms);
    let failure = settled.hypervisor_of_all(&all).unwrap_err();
    insta::assert_snapshot!(format!("{} | {}", failure.message, failure.help.unwrap()), @r"
    the chosen VMs are on more than one hypervisor: main (vm1, vm3), other (vm2) | name the VMs of one hypervisor (`vm1 vm3`), or one hypervisor for all with -H
    ");
    let nobody = Layers::from_parts(&Global::default(), None, []).unwrap().with_flake(None).unwrap();
    let failure = nobody.hypervisor().unwrap_err();
    insta::assert_snapshot!(format!("{} | {}", failure.message, failure.help.unwrap()), @r#"
    no hypervisor named | say where it is: -H root@HOST, or DEPLOYVM_HYPERVISOR=root@HOST, or `hypervisor = "root@HOST"` in deployvm.toml
    "#);
    // The only one that there is needs no naming.
    let only = json!({ "hypervisors": { "hv": Hypervisor { address: Some("local".into()), ..Default::default() } } });
    let only =
        Layers::from_parts(&Global::default(), None, []).unwrap().with_flake_value(Some(only)).unwrap();
    assert_eq!(only.hypervisor().unwrap().address, Address::Local);
}

#[test]
fn errors_name_layer_key_and_what_was_expected() {
    let refused = [
        given("[vms.vm2]\nadress = 'x'").refused(),
        given("vm.vm2.boot = 1").refused(),
        given("[environments.prod.defaults]\nsettle = '5s'").refused(),
        given("[defaults]\nboot = 0").refused(),
        given("[defaults.guest]\nvia = 'ssh'").refused(),
        given("[vms.'my vm']\nboot = 1").refused(),
        given("[vms.'my.vm']\naddress = '10.0.0.1/24'").refused(),
        given("[vms.vm1]\ntags = ['a', 'b c']").refused(),
        given("[vms.vm1]\ntags = 'a'").refused(),
        given("[vms.vm1.checks.web]\nfrom = ['guest']").refused(),
        given("[hypervisors]\nmain = 'root@hv'").refused(),
        given("[hypervisors.local]\naddress = 'root@hv'").refused(),
        given("[hypervisors.main]\naddress = '-oProxyCommand=x'").refused(),
        given("hypervisor = 3\n").refused(),
        given("hypervisor = \n").refused(),
        given(TOML).env("stagin").refused(),
        given("").env("stagin").refused(),
        given("").variable("DEPLOYVM_ENV", "x").refused(),
        given("").flag("root@-x").refused(),
    ];
    let checks =
        [("ping", "true"), ("tcp", "22"), ("http", "80"), ("dns", "1"), ("body", "1"), ("exec", "true")];
    let of_checks =
        checks.map(|(key, value)| given(&format!("[vms.vm1.checks.a]\n{key} = {value}")).refused());
    insta::assert_snapshot!(of_checks.join("\n"), @r#"
    vms.vm1.checks.a.ping in deployvm.toml is true | it must be text: an address or a name, such as "1.1.1.1"
    vms.vm1.checks.a.tcp in deployvm.toml is 22 | it must be text: an address or a name with a port, such as "10.1.0.2:22"
    vms.vm1.checks.a.http in deployvm.toml is 80 | it must be text: a URL, such as "http://10.1.0.2/"
    vms.vm1.checks.a.dns in deployvm.toml is 1 | it must be text: the name to look up
    vms.vm1.checks.a.body in deployvm.toml is 1 | it must be text: a regular expression for the body
    vms.vm1.checks.a.exec in deployvm.toml is true | it must be a list of texts: the program and its arguments
    "#);
    insta::assert_snapshot!(refused.join("\n"), @r#"
    unknown setting vms.vm2.adress in deployvm.toml | did you mean "address"? known here: address, after, boot, checks, guest, hypervisor, settle, tags, verdict, within
    unknown setting vm in deployvm.toml | did you mean "vms"? known here: defaults, environments, hypervisor, hypervisors, vms
    environments.prod.defaults.settle in deployvm.toml is the text "5s" | it must be a whole number of seconds from 0 to 3600
    defaults.boot in deployvm.toml is 0 | it must be a whole number of seconds from 1 to 3600
    defaults.guest.via in deployvm.toml is the text "ssh" | it must be "hypervisor" or "laptop" or "vsock"
    vms."my vm" in deployvm.toml: "my vm" is not a valid VM name: only ASCII letters, digits, '-', '_' and '.' are allowed | write the name of a microVM as in nixosConfigurations
    vms."my.vm".address in deployvm.toml is "10.0.0.1/24", not an IP address or host name | write it without brackets and without a prefix length, such as 10.0.0.2
    vms.vm1.tags.2 in deployvm.toml is "b c", not a valid name: only ASCII letters, digits, '-', '_' and '.' are allowed | choose another name
    vms.vm1.tags in deployvm.toml is the text "a" | it must be a list of texts
    vms.vm1.checks.web.from.1 in deployvm.toml is the text "guest" | it must be "laptop" or "hypervisor" or "vm"
    hypervisors.main in deployvm.toml is the text "root@hv" | it must be a table
    hypervisors.local in deployvm.toml: "local" is reserved: it always means this machine | choose another name
    hypervisors.main.address in deployvm.toml is "-oProxyCommand=x", not a valid hypervisor address: its host must be a name or an IP address, starting with a letter or digit | write [USER@]HOST[:PORT], or "local" for this machine
    hypervisor in deployvm.toml is 3 | it must be text
    deployvm.toml is not valid TOML: string values must be quoted, expected literal string | correct DIR/deployvm.toml
    there is no environment "stagin" in deployvm.toml | did you mean "staging"? known: split, staging
    there is no environment "stagin" in deployvm.toml | write a table [environments.stagin]
    there is no environment "x" in deployvm.toml | write a table [environments.x]
    --hypervisor is "root@-x", not a valid hypervisor address: its host must be a name or an IP address, starting with a letter or digit | write [USER@]HOST[:PORT], or "local" for this machine
    "#);
}

#[test]
fn settings_for_a_vm_that_is_not_there_are_refused() {
    let settled = given("[vms.vm22]\nboot = 5").settled();
    let known = ["vm1", "vm2", "hv"].map(str::to_owned);
    let failure = settled.check_vm_names(&known).unwrap_err();
    insta::assert_snapshot!(format!("{} | {}", failure.message, failure.help.unwrap()), @r#"
    vms.vm22 in deployvm.toml: the flake has no such configuration | did you mean "vm2"?
    "#);
}

#[test]
fn the_flake_is_found_upwards_but_not_beyond_the_repository() {
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    std::fs::create_dir_all(root.join("a/repo/.git")).unwrap();
    std::fs::write(root.join("a/flake.nix"), "{}").unwrap();
    let found = |reference: Option<&str>, here: &str| file::flake_root(reference, &root.join(here));
    assert_eq!(found(None, "a/b"), Some(root.join("a")));
    assert_eq!(found(Some("./b"), "a"), Some(root.join("a")));
    assert_eq!(found(Some(&format!("path:{root}?dir=a")), ""), Some(root.join("a")));
    assert_eq!(found(None, "a/repo"), None);
    assert_eq!(found(None, ""), None);
    assert_eq!(found(Some("github:a/b"), "a"), None);
}
