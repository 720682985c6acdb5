# The hypervisor's own system.
let
  settings = import ./settings.nix;
  net = settings.vm;
in
{
  imports = [
    ./hardware-configuration.nix
    ./ssh.nix
  ];

  networking.hostName = "hypervisor";

  # As in the machine's own configuration.nix; this is what most have.
  boot.loader.systemd-boot.enable = true;
  boot.loader.efi.canTouchEfiVariables = true;

  # The VM is not declared here with `microvm.vms`: the host would then rewrite what
  # deployvm has installed, at every boot and every switch. But microvm.nix starts only
  # VMs that are named here, so without this line it would not come back after a reboot.
  microvm.autostart = [ "vm1" ];

  # Physical interfaces keep DHCP, which is the default of NixOS. If yours has a fixed
  # address, move what configuration.nix says of it here BEFORE you switch.
  networking.useNetworkd = true;

  systemd.network = {
    netdevs."20-vm1".netdevConfig = {
      Kind = "bridge";
      Name = net.bridge;
    };

    networks."20-vm1" = {
      matchConfig.Name = net.bridge;
      address = [ "${net.gateway}/${toString net.prefixLength}" ];
      # The address stays while the VM is down and its tap is gone.
      networkConfig.ConfigureWithoutCarrier = true;
      # A stopped VM must not delay the hypervisor's own boot.
      linkConfig.RequiredForOnline = "no";
    };

    # microvm.nix deletes and makes the tap at every start of the VM. networkd sees it
    # appear, and puts it into the bridge; there is nothing to run by hand.
    networks."30-vm1" = {
      matchConfig.Name = net.tap;
      networkConfig.Bridge = net.bridge;
      linkConfig.RequiredForOnline = "no";
    };
  };

  # The way out: the VM shares the hypervisor's address. This also turns on forwarding.
  networking.nat = {
    enable = true;
    internalInterfaces = [ net.bridge ];
    externalInterface = settings.hypervisor.uplink;
  };

  # Forwarding goes both ways, so this keeps the rest of the network out: nobody but the
  # hypervisor starts a conversation with the VM.
  networking.nftables = {
    enable = true;
    tables.vm-isolation = {
      family = "inet";
      content = ''
        chain forward {
          type filter hook forward priority filter; policy accept;

          ct state { established, related } accept
          oifname "${net.bridge}" drop
        }
      '';
    };
  };

  # The NixOS release whose defaults for stored data apply: keep what your
  # configuration.nix says.
  system.stateVersion = "25.11";
}
