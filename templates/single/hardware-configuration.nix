# Replace this file with the machine's own:
#
#   ssh root@HYPERVISOR cat /etc/nixos/hardware-configuration.nix > hardware-configuration.nix
#
# It names the disks; with those of another machine yours would not boot. The VM can be
# built and deployed without it.
{
  assertions = [
    {
      assertion = false;
      message = "hardware-configuration.nix is still the template's: copy your machine's own over it";
    }
  ];
}
