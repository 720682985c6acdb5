# What all VMs have in common. What one VM is for goes into hosts/NAME.
{ config, lib, ... }:
let
  table = import ./networks.nix;
  net = table.vms.${config.networking.hostName};
in
{
  imports = [ ./ssh.nix ];

  microvm = {
    hypervisor = "qemu";
    vcpu = lib.mkDefault 1;
    mem = lib.mkDefault 512;

    interfaces = [
      {
        type = "tap";
        id = net.tap;
        inherit (net) mac;
      }
    ];

    # The hypervisor's store instead of a disk image per VM: a deployment copies
    # only what is new. The VM can read all of it, so secrets do not belong there.
    shares = [
      {
        proto = "virtiofs";
        tag = "ro-store";
        source = "/nix/store";
        mountPoint = "/nix/.ro-store";
        readOnly = true;
      }
    ];

    # The root file system is in memory and new at every boot. What is to stay is
    # in this image, in the VM's directory on the hypervisor. Deployments and
    # rollbacks leave it alone.
    volumes = [
      {
        image = "var.img";
        mountPoint = "/var";
        size = 1024; # MiB
      }
    ];
  };

  networking.useDHCP = false;
  systemd.network = {
    enable = true;
    networks."10-uplink" = {
      matchConfig.MACAddress = net.mac;
      address = [ "${net.address}/${toString net.prefixLength}" ];
      gateway = [ net.gateway ];
      inherit (table) dns;
      # IPv4 only, as on the hypervisor's side: nothing comes in by another way.
      networkConfig = {
        IPv6AcceptRA = false;
        LinkLocalAddressing = "no";
      };
    };
  };

  # The host key must outlive the root file system, or every restart would look
  # like an attack to whoever logs in.
  services.openssh.hostKeys = [
    {
      type = "ed25519";
      path = "/var/lib/ssh/ssh_host_ed25519_key";
    }
  ];

  # The NixOS release whose defaults for stored data apply. Never change it.
  system.stateVersion = "25.11";
}
