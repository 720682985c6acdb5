# A flake in the shape that microvm.nix gives one, without nixpkgs: derivations
# by hand, the attribute paths as there. It knows nothing of deployvm.
{
  description = "A hypervisor and its microVMs";

  inputs.guest = {
    url = "path:@GUEST@";
    flake = false;
  };

  outputs =
    { self, guest }:
    let
      parts = import ./parts.nix { inherit guest; };
      named =
        directory: make:
        builtins.listToAttrs (
          map (file: rec {
            name = builtins.replaceStrings [ ".nix" ] [ "" ] file;
            value = make name (import (directory + "/${file}"));
          }) (builtins.attrNames (builtins.readDir directory))
        );
    in
    {
      nixosConfigurations =
        named ./vms (import ./vm.nix { inherit parts; })
        // named ./hosts (import ./host.nix { inherit parts; });
    };
}
