# What deployvm asks about a hypervisor's own configuration: a constant function of
# nix/inventory.nix and of one `nixosConfigurations.NAME`. Handed to `nix eval --apply`
# as text, as inventory.nix is, and under the same rules: plain data, no key `outPath`,
# everything but the toplevel with `or`.
inventory: nixos:
let
  inherit (builtins) mapAttrs unsafeDiscardStringContext;

  config = nixos.config or { };
  microvm = config.microvm or { };
  inherit (config.system.build) toplevel;

  text = value: if value == null then null else unsafeDiscardStringContext "${value}";

  # What is not there is not asked for: a container has no kernel of its own.
  boots = !(config.boot.isContainer or false);

  # `config` and `evaluatedConfig` are whole evaluations; a flake has one of that name.
  evaluated =
    name: vm:
    if (vm.config or null) != null then
      vm.config
    else if (vm.evaluatedConfig or null) != null then
      vm.evaluatedConfig
    else if (vm.flake or null) != null then
      vm.flake.nixosConfigurations.${name} or null
    else
      null;
in
{
  drv = text toplevel.drvPath;
  out = text toplevel.outPath;
  system =
    toplevel.system or nixos.pkgs.stdenv.hostPlatform.system or config.nixpkgs.hostPlatform.system
      or null;
  kernel = if boots then text (config.boot.kernelPackages.kernel.outPath or null) else null;
  initrd =
    if boots && (config.boot.initrd.enable or true) then
      text (config.system.build.initialRamdisk.outPath or null)
    else
      null;
  modules = if boots then text (config.system.modulesTree.outPath or null) else null;
  params =
    if boots && config ? boot.kernelParams then text (toString config.boot.kernelParams) else null;
  autostart = microvm.autostart or [ ];
  vms = mapAttrs (
    name: vm:
    let
      guest = evaluated name vm;
      whole = (vm.config or null) != null || (vm.evaluatedConfig or null) != null;
    in
    {
      owned = whole || ((vm.flake or null) != null && (vm.updateFlake or null) == null);
      restartIfChanged = vm.restartIfChanged or whole;
      wanted = if guest == null then null else inventory guest;
    }
  ) (microvm.vms or { });
}
