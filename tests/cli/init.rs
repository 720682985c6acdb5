//! `deployvm init`, without Nix.

use std::path::Path;

use crate::{Place, place};

fn listing(dir: &Path) -> Vec<String> {
    let mut open = vec![dir.to_path_buf()];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { open.push(entry) } else { found.push(entry) }
        }
    }
    let mut found: Vec<String> =
        found.iter().map(|path| path.strip_prefix(dir).unwrap().to_string_lossy().into_owned()).collect();
    found.sort();
    found
}

fn text(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.0.path().join(file)).unwrap()
}

#[test]
fn a_template_is_written_once() {
    let here = place(&[]);
    insta::assert_snapshot!(here.run(&["init", "single"], &[]), @"
    exit 0
    --- stdout
    wrote README.md
    wrote flake.lock
    wrote flake.nix
    wrote hardware-configuration.nix
    wrote hypervisor.nix
    wrote settings.nix
    wrote ssh.nix
    wrote vm1.nix

    next:
      1. in settings.nix say where the hypervisor is, and which SSH key may log in; README.md has the few steps from there
      2. put the files into git, or Nix does not see them: `git init && git add .`
      3. see what would happen: `deployvm plan`
    --- stderr
    ");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/single");
    assert_eq!(listing(here.0.path()), listing(&source));
    for file in listing(&source) {
        assert_eq!(text(&here, &file), std::fs::read_to_string(source.join(&file)).unwrap(), "{file}");
    }
    // Once more, or another that shares a file with it.
    insta::assert_snapshot!(here.run(&["init"], &[]), @"
    exit 2
    --- stdout
    --- stderr
      × nothing was written: README.md, flake.lock, flake.nix are here already
      help: run `deployvm init infra` in another directory, or move them away
    ");
    assert_eq!(listing(here.0.path()), listing(&source));
}

#[test]
fn without_a_name_it_is_infra() {
    let here = place(&[]);
    let said = here.run(&["init", "--json"], &[]);
    assert!(
        said.starts_with(
            "exit 0\n--- stdout\n{\"schema\":1,\"template\":\"infra\",\"files\":[\"README.md\","
        ),
        "{said}"
    );
    assert!(text(&here, "modules/networks.nix").contains("root@hypervisor.example"));
}

#[test]
fn pipelines_come_beside_what_is_there() {
    let here = place(&[("flake.nix", "{ }")]);
    std::fs::create_dir_all(here.0.path().join(".github/workflows")).unwrap();
    std::fs::write(here.0.path().join(".github/workflows/other.yml"), "").unwrap();
    insta::assert_snapshot!(here.run(&["init", "github-actions"], &[]), @"
    exit 0
    --- stdout
    wrote .github/workflows/deployvm.yml

    next:
      1. in .github/workflows/deployvm.yml put deployvm's own repository in the place of OWNER
      2. in the repository's settings add the secret DEPLOYVM_SSH_KEY and the variable DEPLOYVM_KNOWN_HOSTS; the first lines of the file say what belongs there
      3. commit it, and open a pull request
    --- stderr
    ");
    insta::assert_snapshot!(here.run(&["init", "gitlab-ci"], &[]), @"
    exit 0
    --- stdout
    wrote .gitlab-ci.yml

    next:
      1. in .gitlab-ci.yml put deployvm's own repository in the place of OWNER
      2. in Settings > CI/CD > Variables add DEPLOYVM_SSH_KEY_FILE and DEPLOYVM_KNOWN_HOSTS_FILE; the first lines of the file say what belongs there
      3. commit it, and open a merge request
    --- stderr
    ");
    assert_eq!(text(&here, "flake.nix"), "{ }");
}

#[test]
fn an_unknown_template_names_the_nearest() {
    insta::assert_snapshot!(place(&[]).run(&["init", "singel"], &[]), @"
    exit 2
    --- stdout
    --- stderr
    error: invalid value 'singel' for '[TEMPLATE]'
      [possible values: infra, single, github-actions, gitlab-ci]

      tip: a similar value exists: 'single'

    For more information, try '--help'.
    ");
}
