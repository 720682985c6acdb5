# The one table of this infrastructure. Addresses, MACs, taps and bridges all follow
# from it, for the hypervisor and for the VMs, so that the two cannot disagree.
let
  hypervisor = {
    # How SSH reaches it from where you push; a Host of your ~/.ssh/config will do.
    address = "root@hypervisor.example";

    # Its interface to the outside, as `ip route get 9.9.9.9` says after `dev`.
    uplink = "eth0";

    # "x86_64-linux" or "aarch64-linux"; the VMs are of the same kind.
    system = "x86_64-linux";

    # Interfaces of the hypervisor from which the VMs may be reached directly,
    # for instance a VPN. The hypervisor itself always reaches them.
    admin = [ ];
  };

  # SSH keys that may log in as root, on the hypervisor and in the VMs.
  keys = [
    # "ssh-ed25519 AAAA... you@laptop"
  ];

  # Name servers of the VMs.
  dns = [
    "9.9.9.9"
    "1.1.1.1"
  ];

  # The VMs. To add one: a name and a free id here, a directory hosts/NAME, and an
  # entry in flake.nix to say what must hold for it. An id stands for the network
  # 10.ID.0.0/24 and stays with its VM.
  ids = {
    vm1 = 1;
    vm2 = 2;
  };

  # Each VM has a bridge of its own, so there is no Ethernet segment that two VMs
  # share; the way from one to another leads through the hypervisor's firewall.
  vm =
    name: id:
    let
      digits = "000${toString id}";
      # The id as four digits, which happen to be valid in a MAC as well.
      last = builtins.substring (builtins.stringLength digits - 4) 4 digits;
    in
    {
      inherit id;
      address = "10.${toString id}.0.2";
      gateway = "10.${toString id}.0.1";
      prefixLength = 24;
      # 02 marks a locally administered address.
      mac = "02:00:00:00:${builtins.substring 0 2 last}:${builtins.substring 2 2 last}";
      tap = "vm-${name}";
      bridge = "br-${name}";
    };

  # Mistakes here would only show at run time, as two VMs that answer in turns.
  usedBy = id: builtins.filter (name: ids.${name} == id) (builtins.attrNames ids);
  valid =
    name: id:
    if !(builtins.isInt id && id >= 1 && id <= 254) then
      throw "modules/networks.nix: the id of ${name} must be a number from 1 to 254"
    else if builtins.length (usedBy id) > 1 then
      throw "modules/networks.nix: ${builtins.concatStringsSep " and " (usedBy id)} have the same id ${toString id}"
    else if builtins.stringLength name > 12 then
      throw "modules/networks.nix: ${name} is too long: Linux allows 15 characters for an interface, and 3 go to `vm-`"
    else
      vm name id;
  vms = builtins.mapAttrs valid ids;
in
{
  inherit hypervisor keys dns;
  # All at once, so that a mistake shows whatever is deployed.
  vms = builtins.deepSeq vms vms;
}
