# What must hold in the template, as a function of its `nixosConfigurations`. Gives a
# summary, or throws with everything that does not hold.
systems:
let
  b = builtins;
  host = systems.hypervisor.config;
  vms = removeAttrs systems [ "hypervisor" ];
  names = b.attrNames vms;
  config = name: vms.${name}.config;

  interface = name: b.head (config name).microvm.interfaces;
  guestNetworks = name: b.attrValues (config name).systemd.network.networks;
  cidr = name: b.head (b.head (guestNetworks name)).address;
  gateway = name: b.head (b.head (guestNetworks name)).gateway;
  hostNetworks = b.attrValues host.systemd.network.networks;

  # The unit of the hypervisor that matches an interface.
  matching = interface: b.filter (network: network.matchConfig.Name or "" == interface) hostNetworks;
  first = list: if list == [ ] then { } else b.head list;
  bridge = name: (first (matching (interface name).id)).networkConfig.Bridge or "none";
  bridges = map (netdev: netdev.netdevConfig.Name) (b.attrValues host.systemd.network.netdevs);
  rules = host.networking.nftables.tables.vm-isolation.content;

  runner = name: b.unsafeDiscardStringContext (config name).microvm.declaredRunner.drvPath;
  unique = values: b.length (b.attrNames (b.groupBy (value: value) values)) == b.length values;
  ofAll = f: map f names;
  prefix = address: b.head (b.match "(.*[.])[0-9]+(/[0-9]+)?" address);
  mentions = text: word: b.length (b.split "\"${word}\"" text) > 1;

  perVm = name: {
    "${name}: has a runner" = (config name).microvm.declaredRunner.type == "derivation";
    "${name}: is called by its name" = (config name).networking.hostName == name;
    "${name}: has one tap" = b.length (config name).microvm.interfaces == 1;
    "${name}: tap name fits" = b.stringLength (interface name).id <= 15;
    "${name}: MAC is local and unicast" = b.match "02(:[0-9a-f]{2}){5}" (interface name).mac != null;
    "${name}: guest matches its own MAC" =
      (b.head (guestNetworks name)).matchConfig.MACAddress == (interface name).mac;
    "${name}: hypervisor matches its tap once" = b.length (matching (interface name).id) == 1;
    "${name}: its bridge is made" = b.elem (bridge name) bridges;
    "${name}: bridge holds the gateway" =
      (first (matching (bridge name))).address or [ ] == [ "${gateway name}/24" ];
    "${name}: gateway is in its network" = prefix (gateway name) == prefix (cidr name);
    "${name}: bridge is isolated" = mentions rules (bridge name);
    "${name}: bridge has a way out" = b.elem (bridge name) host.networking.nat.internalInterfaces;
    "${name}: starts with the hypervisor" = b.elem name host.microvm.autostart;
    "${name}: is not declared on the hypervisor" = !(host.microvm ? vms);
    "${name}: SSH key outlives a restart" =
      b.match "/var/.*" (b.head (config name).services.openssh.hostKeys).path != null;
  };

  all = {
    "there are two VMs" =
      names == [
        "vm1"
        "vm2"
      ];
    "hypervisor is one" = host.microvm.host.enable;
    "hypervisor's values have the right types" = b.isString (
      b.toJSON [
        host.boot
        host.microvm
        host.networking
        host.services
        host.systemd
        host.users
      ]
    );
    "hypervisor has a system" = host.system.build.toplevel.type == "derivation";
    "addresses are unique" = unique (ofAll cidr);
    "networks are unique" = unique (ofAll (name: prefix (cidr name)));
    "taps are unique" = unique (ofAll (name: (interface name).id));
    "MACs are unique" = unique (ofAll (name: (interface name).mac));
    "bridges are unique" = unique (ofAll bridge);
    "runners differ" = unique (ofAll runner);
    "no bridge without a VM" = b.length bridges == b.length names;
    "firewall drops" = b.length (b.split " drop\n" rules) > 2;
  }
  // b.foldl' (done: name: done // perVm name) { } names;

  failed = b.filter (what: !all.${what}) (b.attrNames all);
in
if failed == [ ] then
  { holds = b.length (b.attrNames all); }
else
  throw "template: does not hold: ${b.concatStringsSep "; " failed}"
