{
  description = "A hypervisor and one microVM, deployed with deployvm";

  inputs = {
    nixpkgs.url = "github:nixos/nixpkgs/nixos-unstable";
    microvm = {
      url = "github:microvm-nix/microvm.nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    { nixpkgs, microvm, ... }:
    let
      settings = import ./settings.nix;

      nixos =
        modules:
        nixpkgs.lib.nixosSystem {
          modules = modules ++ [ { nixpkgs.hostPlatform = settings.hypervisor.system; } ];
        };
    in
    {
      nixosConfigurations = {
        hypervisor = nixos [
          microvm.nixosModules.host
          ./hypervisor.nix
        ];

        # A NixOS system of its own. The hypervisor's configuration does not contain
        # it, so that either can be deployed, and undone, without the other.
        vm1 = nixos [
          microvm.nixosModules.microvm
          ./vm1.nix
        ];
      };

      # Where deployvm deploys to, and what must hold afterwards: a push that breaks
      # this check is undone. Plain data; nothing here needs deployvm as an input.
      # Reachability from the hypervisor, and port 22, are checked unasked.
      deployvm = {
        hypervisors.main = {
          inherit (settings.hypervisor) address;
          configuration = "hypervisor";
        };

        vms.vm1 = {
          hypervisor = "main";
          checks.web = {
            http = "http://${settings.vm.address}/";
            status = 200;
          };
        };
      };
    };
}
