# What must hold in the template `single`, as a function of its `nixosConfigurations`.
# Gives a summary, or throws with everything that does not hold.
systems:
let
  b = builtins;
  host = systems.hypervisor.config;
  vm = systems.vm1.config;

  interface = b.head vm.microvm.interfaces;
  network = b.head (b.attrValues vm.systemd.network.networks);
  hostNetworks = b.attrValues host.systemd.network.networks;
  first = list: if list == [ ] then { } else b.head list;
  matching = name: first (b.filter (each: each.matchConfig.Name or "" == name) hostNetworks);
  bridge = (matching interface.id).networkConfig.Bridge or "none";
  made = map (netdev: netdev.netdevConfig.Name) (b.attrValues host.systemd.network.netdevs);
  rules = host.networking.nftables.tables.vm-isolation.content;

  all = {
    "there is one VM" =
      b.attrNames systems == [
        "hypervisor"
        "vm1"
      ];
    "it has a runner" = vm.microvm.declaredRunner.type == "derivation";
    "it is called by its name" = vm.networking.hostName == "vm1";
    "tap name fits" = b.stringLength interface.id <= 15;
    "guest matches its own MAC" = network.matchConfig.MACAddress == interface.mac;
    "its tap's bridge is made" = b.elem bridge made;
    "bridge holds the gateway" = (matching bridge).address or [ ] == [ "${b.head network.gateway}/24" ];
    "address is in that network" = b.match "10[.]1[.]0[.][0-9]+/24" (b.head network.address) != null;
    "bridge has a way out" = host.networking.nat.internalInterfaces == [ bridge ];
    "nobody comes in" = b.match ".*oifname \"${bridge}\" drop.*" rules != null;
    "it starts with the hypervisor" = host.microvm.autostart == [ "vm1" ];
    "it is not declared on the hypervisor" = !(host.microvm ? vms);
    "SSH key outlives a restart" = b.match "/var/.*" (b.head vm.services.openssh.hostKeys).path != null;
    "hypervisor has a system" = host.system.build.toplevel.type == "derivation";
  };
  failed = b.filter (what: !all.${what}) (b.attrNames all);
in
if failed == [ ] then
  { holds = b.length (b.attrNames all); }
else
  throw "template: does not hold: ${b.concatStringsSep "; " failed}"
