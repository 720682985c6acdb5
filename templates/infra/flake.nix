{
  description = "A hypervisor and its microVMs, deployed with deployvm";

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
      table = import ./modules/networks.nix;

      nixos =
        modules:
        nixpkgs.lib.nixosSystem {
          modules = modules ++ [ { nixpkgs.hostPlatform = table.hypervisor.system; } ];
        };

      # A VM is a NixOS system of its own. The hypervisor's configuration does not
      # contain it, so that either can be deployed, and undone, without the other.
      vm =
        name: _:
        nixos [
          microvm.nixosModules.microvm
          ./modules/microvm-base.nix
          (./hosts + "/${name}")
          { networking.hostName = name; }
        ];
    in
    {
      nixosConfigurations = builtins.mapAttrs vm table.vms // {
        hypervisor = nixos [
          microvm.nixosModules.host
          ./hosts/hypervisor
        ];
      };

      # Where deployvm deploys to, and what must hold afterwards: a push that breaks
      # one of these checks is undone. Plain data; nothing here needs deployvm as an
      # input. Reachability from the hypervisor, and port 22, are checked unasked.
      deployvm = {
        hypervisors.main = {
          inherit (table.hypervisor) address;
          configuration = "hypervisor";
        };

        vms.vm1 = {
          hypervisor = "main";
          # Only once vm2's web server answers does it mean something that vm1
          # does not get through to it.
          after = [ "vm2" ];
          checks = {
            internet = {
              dns = "nixos.org";
              from = [ "vm" ];
            };
            isolation = {
              tcp = "${table.vms.vm2.address}:80";
              from = [ "vm" ];
              expect = "refused";
            };
          };
        };

        vms.vm2 = {
          hypervisor = "main";
          tags = [ "web" ];
          checks = {
            web = {
              http = "http://${table.vms.vm2.address}/";
              status = 200;
            };
            isolation = {
              tcp = "${table.vms.vm1.address}:22";
              from = [ "vm" ];
              expect = "refused";
            };
          };
        };
      };
    };
}
