# Stand-in for microvm.nix: the options that the template sets, by their real names and types.
{
  inputs.nixpkgs.url = "github:nixos/nixpkgs/nixos-unstable";
  outputs =
    { nixpkgs, ... }:
    let
      inherit (nixpkgs.lib) of mergeOptions;
      t = nixpkgs.lib.types;
      listOf = options: t.listOf (t.submodule { options = mergeOptions options; });
    in
    {
      nixosModules.host.options = mergeOptions [
        (of t.bool "microvm.host.enable")
        (of (t.listOf t.str) "microvm.autostart")
      ];
      nixosModules.host.config.microvm.host.enable = true;
      nixosModules.microvm =
        { config, pkgs, ... }:
        {
          options = mergeOptions [
            (of t.str "microvm.hypervisor")
            (of t.ints.positive "microvm.vcpu microvm.mem")
            (of (listOf [ (of t.str "type id mac") ]) "microvm.interfaces")
            (of (listOf [
              (of t.str "proto tag source mountPoint")
              (of t.bool "readOnly")
            ]) "microvm.shares")
            (of (listOf [
              (of t.str "image mountPoint")
              (of t.ints.positive "size")
            ]) "microvm.volumes")
            (of t.package "microvm.declaredRunner")
          ];
          # It depends on all that the real one is made of.
          config.microvm.declaredRunner =
            pkgs.writeText "microvm-${config.microvm.hypervisor}-${config.networking.hostName}"
              (
                builtins.toJSON [
                  (removeAttrs config.microvm [ "declaredRunner" ])
                  "${config.system.build.toplevel}"
                  config.systemd.network
                  config.services
                ]
              );
        };
    };
}
