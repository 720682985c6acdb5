# Replace this file with the machine's own:
#
#   ssh root@HYPERVISOR cat /etc/nixos/hardware-configuration.nix > hosts/hypervisor/hardware-configuration.nix
#
# It names the disks; with those of another machine yours would not boot. The VMs
# can be built and deployed without it.
{
  assertions = [
    {
      assertion = false;
      message = "hosts/hypervisor/hardware-configuration.nix is still the template's: copy your machine's own over it";
    }
  ];
}
