# The hypervisor's own system.
let
  table = import ../../modules/networks.nix;
in
{
  imports = [
    ./hardware-configuration.nix
    ./network.nix
    ../../modules/ssh.nix
  ];

  networking.hostName = "hypervisor";

  # As in the machine's own configuration.nix; this is what most have.
  boot.loader.systemd-boot.enable = true;
  boot.loader.efi.canTouchEfiVariables = true;

  # The VMs are not declared here with `microvm.vms`: the host would then rewrite
  # what deployvm has installed, at every boot and every switch. But microvm.nix
  # starts only VMs that are named here, so without this line they would not come
  # back after a reboot. A name that is not deployed yet does no harm: its unit is
  # skipped until there is something to run.
  microvm.autostart = builtins.attrNames table.vms;

  # The NixOS release whose defaults for stored data apply: keep what your
  # configuration.nix says.
  system.stateVersion = "25.11";
}
