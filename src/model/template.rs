//! What a user starts from: files that `deployvm init` writes. They are those below
//! `templates/`, which `nix flake init -t` takes as they are; here they are part of the
//! program.

/// Files for a directory, and what to do once they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Its name, as in `deployvm init NAME`; also that of its directory.
    pub name: &'static str,
    /// What it is, as in `nix flake show`.
    pub about: &'static str,
    /// Paths, relative and with slashes, with what is in the files.
    pub files: &'static [(&'static str, &'static str)],
    /// What is to be done next, in this order.
    pub next: &'static [&'static str],
}

macro_rules! files {
    ($name:literal: $($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../templates/", $name, "/", $path)))),*]
    };
}

/// All there are; the first is what `init` takes unless it is told.
pub const ALL: [Template; 4] = [
    Template {
        name: "infra",
        about: "A NixOS hypervisor and two isolated microVMs, deployed with deployvm",
        files: files!("infra":
            "README.md"
            "flake.lock"
            "flake.nix"
            "hosts/hypervisor/default.nix"
            "hosts/hypervisor/hardware-configuration.nix"
            "hosts/hypervisor/network.nix"
            "hosts/vm1/default.nix"
            "hosts/vm2/default.nix"
            "modules/microvm-base.nix"
            "modules/networks.nix"
            "modules/ssh.nix"
        ),
        next: &[
            "in modules/networks.nix say where the hypervisor is, and which SSH key may log in; README.md has the few steps from there",
            "put the files into git, or Nix does not see them: `git init && git add .`",
            "see what would happen: `deployvm plan`",
        ],
    },
    Template {
        name: "single",
        about: "A NixOS hypervisor and one microVM, deployed with deployvm",
        files: files!("single":
            "README.md"
            "flake.lock"
            "flake.nix"
            "hardware-configuration.nix"
            "hypervisor.nix"
            "settings.nix"
            "ssh.nix"
            "vm1.nix"
        ),
        next: &[
            "in settings.nix say where the hypervisor is, and which SSH key may log in; README.md has the few steps from there",
            "put the files into git, or Nix does not see them: `git init && git add .`",
            "see what would happen: `deployvm plan`",
        ],
    },
    Template {
        name: "github-actions",
        about: "A GitHub workflow: deployvm plans pull requests and deploys main",
        files: files!("github-actions": ".github/workflows/deployvm.yml"),
        next: &[
            "in .github/workflows/deployvm.yml put deployvm's own repository in the place of OWNER",
            "in the repository's settings add the secret DEPLOYVM_SSH_KEY and the variable DEPLOYVM_KNOWN_HOSTS; the first lines of the file say what belongs there",
            "commit it, and open a pull request",
        ],
    },
    Template {
        name: "gitlab-ci",
        about: "A GitLab pipeline: deployvm plans merge requests and deploys the default branch",
        files: files!("gitlab-ci": ".gitlab-ci.yml"),
        next: &[
            "in .gitlab-ci.yml put deployvm's own repository in the place of OWNER",
            "in Settings > CI/CD > Variables add DEPLOYVM_SSH_KEY_FILE and DEPLOYVM_KNOWN_HOSTS_FILE; the first lines of the file say what belongs there",
            "commit it, and open a merge request",
        ],
    },
];

/// The template of this name.
pub fn find(name: &str) -> Option<&'static Template> {
    ALL.iter().find(|template| template.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn below(dir: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => below(&path, root, found),
                false => found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }

    #[test]
    fn every_file_is_part_of_the_program_and_every_template_of_the_flake() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut known: Vec<String> = Vec::new();
        for template in &ALL {
            known.extend(template.files.iter().map(|(path, _)| format!("{}/{path}", template.name)));
        }
        let mut there = Vec::new();
        below(&root.join("templates"), &root.join("templates"), &mut there);
        known.sort();
        there.sort();
        assert_eq!(known, there);
        // The flake is no part of the package's source.
        let Ok(flake) = std::fs::read_to_string(root.join("flake.nix")) else { return };
        for template in &ALL {
            assert!(flake.contains(&format!("path = ./templates/{};", template.name)), "{}", template.name);
            assert!(flake.contains(&format!("description = \"{}\";", template.about)), "{}", template.name);
        }
    }

    #[test]
    fn paths_stay_inside() {
        for (path, _) in ALL.iter().flat_map(|template| template.files) {
            assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path}");
        }
    }
}
