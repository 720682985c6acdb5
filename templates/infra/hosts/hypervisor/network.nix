# One bridge per VM, the way out for them, and what keeps them apart.
{ lib, ... }:
let
  table = import ../../modules/networks.nix;
  inherit (table) hypervisor;
  vms = builtins.attrValues table.vms;
  bridges = map (vm: vm.bridge) vms;

  # { "a", "b" }, as nftables writes a set.
  set = names: "{ ${lib.concatStringsSep ", " (map (name: "\"${name}\"") names)} }";

  # nftables knows no empty set.
  fromAdmin = lib.optionalString (
    hypervisor.admin != [ ]
  ) "iifname ${set hypervisor.admin} oifname ${set bridges} accept";

  bridgeOf = vm: {
    name = "20-${vm.bridge}";
    value = {
      matchConfig.Name = vm.bridge;
      address = [ "${vm.gateway}/${toString vm.prefixLength}" ];
      networkConfig = {
        # The address stays while the VM is down and its tap is gone.
        ConfigureWithoutCarrier = true;
        IPv6AcceptRA = false;
        LinkLocalAddressing = "no";
      };
      # A stopped VM must not delay the hypervisor's own boot.
      linkConfig.RequiredForOnline = "no";
    };
  };

  # microvm.nix deletes and makes the tap at every start of its VM. networkd sees
  # it appear, and puts it into its bridge; there is nothing to run by hand.
  tapOf = vm: {
    name = "30-${vm.tap}";
    value = {
      matchConfig.Name = vm.tap;
      networkConfig = {
        Bridge = vm.bridge;
        LinkLocalAddressing = "no";
      };
      linkConfig.RequiredForOnline = "no";
    };
  };

  netdevOf = vm: {
    name = "20-${vm.bridge}";
    value.netdevConfig = {
      Kind = "bridge";
      Name = vm.bridge;
    };
  };
in
{
  # Physical interfaces keep DHCP, which is the default of NixOS. If yours has a
  # fixed address, move what configuration.nix says of it here BEFORE you switch.
  networking.useNetworkd = true;

  systemd.network = {
    netdevs = builtins.listToAttrs (map netdevOf vms);
    networks = builtins.listToAttrs (map bridgeOf vms ++ map tapOf vms);
  };

  # The way out: VMs share the hypervisor's address. This also turns on forwarding.
  networking.nat = {
    enable = true;
    internalInterfaces = bridges;
    externalInterface = hypervisor.uplink;
  };

  # What keeps them apart. A table of its own, beside the firewall of NixOS: a drop
  # in any table is final, whatever another one accepts.
  networking.nftables = {
    enable = true;
    tables.vm-isolation = {
      family = "inet";
      content = ''
        chain forward {
          type filter hook forward priority filter; policy accept;

          ct state { established, related } accept

          # A VM gets out through the uplink, and nowhere else: not to another VM,
          # not into a VPN of the hypervisor.
          iifname ${set bridges} oifname != "${hypervisor.uplink}" drop

          # Nobody starts a conversation with a VM through the hypervisor, but from
          # the interfaces that modules/networks.nix names.
          ${fromAdmin}
          oifname ${set bridges} drop
        }
      '';
    };
  };
}
