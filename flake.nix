{
  description = "deployvm deploys NixOS microVMs from a flake to a hypervisor over SSH, checks them, and undoes what fails";

  inputs.nixpkgs.url = "github:nixos/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];

      # All that needs a package set comes through here. A nixpkgs that has given a
      # system up lacks it, or throws at the first touch: 26.11 does so for
      # x86_64-darwin. That system then has no outputs, instead of breaking `nix
      # flake check --all-systems` for the others. On an Intel Mac, pass
      # `--override-input nixpkgs github:nixos/nixpkgs/nixpkgs-26.05-darwin`.
      forAllSystems =
        outputs:
        lib.genAttrs systems (
          system:
          let
            pkgs = nixpkgs.legacyPackages.${system} or (throw "no ${system} in this nixpkgs");
            usable = builtins.tryEval (builtins.seq (pkgs.stdenv or null) true);
          in
          if usable.success then outputs pkgs self.packages.${system}.default else { }
        );

      # nixpkgs 25.11 made the RFC 166 formatter the plain `nixfmt`.
      nixfmtOf =
        pkgs: if lib.versionAtLeast lib.version "25.11" then pkgs.nixfmt else pkgs.nixfmt-rfc-style;
    in
    {
      packages = forAllSystems (
        pkgs: _: {
          default = pkgs.callPackage ./nix/package.nix { };
        }
      );

      apps = forAllSystems (
        _: package: {
          default = {
            type = "app";
            program = "${package}/bin/deployvm";
            meta.description = package.meta.description;
          };
        }
      );

      devShells = forAllSystems (
        pkgs: _: {
          default = import ./nix/shell.nix {
            inherit pkgs;
            nixfmt = nixfmtOf pkgs;
          };
        }
      );

      checks = forAllSystems (
        pkgs: package:
        import ./nix/checks.nix {
          inherit lib pkgs package;
          src = self;
          nixfmt = nixfmtOf pkgs;
        }
      );

      overlays.default = final: _prev: {
        deployvm = final.callPackage ./nix/package.nix { };
      };

      # By path, so that the module system recognises a module that comes in twice;
      # in a set, because Nix 2.8's `flake check` takes no bare path for a module.
      nixosModules = {
        default.imports = [ ./nix/modules/guest.nix ];
        guest.imports = [ ./nix/modules/guest.nix ];
        hypervisor.imports = [ ./nix/modules/hypervisor.nix ];
      };

      # `deployvm init` writes the same files.
      templates = {
        default = self.templates.infra;
        infra = {
          path = ./templates/infra;
          description = "A NixOS hypervisor and two isolated microVMs, deployed with deployvm";
          welcomeText = ''
            Say where your hypervisor is in `modules/networks.nix`; `README.md` has
            the few steps from there to the first `deployvm push`.
          '';
        };
        single = {
          path = ./templates/single;
          description = "A NixOS hypervisor and one microVM, deployed with deployvm";
          welcomeText = ''
            Say where your hypervisor is in `settings.nix`; `README.md` has the few
            steps from there to the first `deployvm push`.
          '';
        };
        github-actions = {
          path = ./templates/github-actions;
          description = "A GitHub workflow: deployvm plans pull requests and deploys main";
          welcomeText = ''
            The first lines of `.github/workflows/deployvm.yml` say what is to be set.
          '';
        };
        gitlab-ci = {
          path = ./templates/gitlab-ci;
          description = "A GitLab pipeline: deployvm plans merge requests and deploys the default branch";
          welcomeText = ''
            The first lines of `.gitlab-ci.yml` say what is to be set.
          '';
        };
      };
    };
}
