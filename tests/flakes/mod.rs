//! Throwaway flakes in throwaway repositories, with a private store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test program uses its part")]

use camino::Utf8PathBuf;
use deployvm::error::{Failure, Result};
use deployvm::model::event::{Event, Events};
use deployvm::model::inventory::Inventory;
use deployvm::stage::evaluate::{EvalRequest, evaluate};

/// Four microVMs, one of which throws, and their hypervisor.
pub const FOUR: &str = r#"{
  outputs = { self }:
  let
    runner = name: derivation {
      name = "microvm-qemu-${name}";
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-c" "echo building ${name}; echo ${name} > $out" ];
    };
    vm = name: {
      config = {
        microvm = {
          declaredRunner = runner name;
          hypervisor = "qemu";
          mem = 256;
          vcpu = 2;
          interfaces = [ { type = "tap"; id = "vm-${name}"; mac = "02:00:00:00:00:0A"; } ];
          volumes = [ { image = "/var/data.img"; } { image = "ro.img"; readOnly = true; } ];
        };
        system.build.toplevel = runner "nixos-${name}";
        systemd.network.networks."10-lan".address = [ "10.1.0.2/24" ];
        services.openssh.enable = true;
      };
    };
  in {
    nixosConfigurations = {
      hypervisor.config.microvm.host.enable = true;
      vm1 = vm "vm1";
      vm2 = vm "vm2";
      vm3 = vm "vm3" // { config = (vm "vm3").config // { microvm.declaredRunner = throw "vm3 is not finished"; }; };
      vm4 = vm "vm4";
    };
    # more
  };
}
"#;

/// A repository, a store and a cache, all temporary.
pub struct Place {
    temp: tempfile::TempDir,
    repository: git2::Repository,
    /// Root of the repository.
    pub dir: Utf8PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8PathBuf::from_path_buf(temp.path().canonicalize().unwrap()).unwrap().join("flake");
        let repository = git2::Repository::init(&dir).unwrap();
        Self { temp, repository, dir }
    }

    /// Writes a file and tells git of it. Whoever reads it meanwhile finds the old text or
    /// the new one.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.dir.join(format!("{name}.new"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.dir.join(name)).unwrap();
        if name == "flake.nix" {
            self.track(name);
        }
    }

    /// A flake of its own, outside the repository.
    pub fn outside(&self, name: &str, text: &str) -> Utf8PathBuf {
        let dir = self.dir.with_file_name(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("flake.nix"), text).unwrap();
        dir
    }

    pub fn track(&self, name: &str) {
        let mut index = self.repository.index().unwrap();
        index.add_path(name.as_ref()).unwrap();
        index.write().unwrap();
    }

    /// Commits what is tracked; the commit's hash.
    pub fn commit(&self) -> String {
        let tree = self.repository.index().unwrap().write_tree().unwrap();
        let tree = self.repository.find_tree(tree).unwrap();
        let who = git2::Signature::now("test", "test@example.org").unwrap();
        self.repository.commit(Some("HEAD"), &who, &who, "test", &tree, &[]).unwrap().to_string()
    }

    /// Everything, with the private store and cache.
    pub fn request(&self) -> EvalRequest {
        EvalRequest {
            flake: self.dir.to_string(),
            options: self.options(),
            cache_dir: Some(self.dir.with_file_name("cache")),
            jobs: Some(2),
            ..EvalRequest::default()
        }
    }

    /// What makes Nix use the private store, whoever runs the test and on what system.
    pub fn options(&self) -> Vec<(String, String)> {
        let store = self.dir.with_file_name("store");
        let mut options = vec![
            ("store", store.as_str()),
            ("build-users-group", ""),
            ("substituters", ""),
            ("sandbox", "false"),
        ];
        if Utf8PathBuf::from("/usr/lib").exists() {
            // Nix builds for a store elsewhere in a chroot, which needs a shell. Instead
            // of what Nix would put there: a /bin of ours and its /bin/sh exclude each other.
            options.push(("sandbox-paths", "/bin /lib /lib64 /usr"));
        }
        options.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    pub async fn evaluate(&self, request: &EvalRequest) -> (Result<Inventory>, Vec<Event>) {
        assert!(which::which("nix").is_ok(), "these tests need nix on PATH");
        let (events, mut heard) = Events::channel();
        let inventory = evaluate(request, &events).await;
        let mut list = Vec::new();
        while let Ok(event) = heard.try_recv() {
            list.push(event);
        }
        (inventory, list)
    }

    pub async fn failure(&self, request: &EvalRequest) -> Failure {
        self.evaluate(request).await.0.unwrap_err()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nix makes its store read-only, which stops nobody but the owner.
        make_writable(&self.temp.path().join("store"));
    }
}

fn make_writable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(data) = path.symlink_metadata() else { return };
    if !data.is_dir() {
        return;
    }
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        make_writable(&entry.path());
    }
}

/// How many were evaluated well, evaluated badly, and known already.
pub fn evaluated(events: &[Event]) -> (usize, usize, usize) {
    let count = |wanted: (bool, bool)| {
        let same = |e: &&Event| matches!(e, Event::Evaluated { ok, cached, .. } if (*ok, *cached) == wanted);
        events.iter().filter(same).count()
    };
    (count((true, false)), count((false, false)), count((true, true)))
}
