# The VM: a small web server, to make something of.
let
  settings = import ./settings.nix;
  net = settings.vm;
in
{
  imports = [ ./ssh.nix ];

  networking.hostName = "vm1";

  services.nginx = {
    enable = true;
    virtualHosts.default = {
      default = true;
      locations."/".return = ''200 "vm1 is up\n"'';
    };
  };
  networking.firewall.allowedTCPPorts = [ 80 ];

  microvm = {
    hypervisor = "qemu";
    vcpu = 1;
    mem = 512; # MiB

    interfaces = [
      {
        type = "tap";
        id = net.tap;
        inherit (net) mac;
      }
    ];

    # The hypervisor's store instead of a disk image: a deployment copies only what is
    # new. The VM can read all of it, so secrets do not belong there.
    shares = [
      {
        proto = "virtiofs";
        tag = "ro-store";
        source = "/nix/store";
        mountPoint = "/nix/.ro-store";
        readOnly = true;
      }
    ];

    # The root file system is in memory and new at every boot. What is to stay is in
    # this image, in the VM's directory on the hypervisor. Deployments and rollbacks
    # leave it alone.
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
      inherit (net) dns;
    };
  };

  # The host key must outlive the root file system, or every restart would look like
  # an attack to whoever logs in.
  services.openssh.hostKeys = [
    {
      type = "ed25519";
      path = "/var/lib/ssh/ssh_host_ed25519_key";
    }
  ];

  # The NixOS release whose defaults for stored data apply. Never change it.
  system.stateVersion = "25.11";
}
