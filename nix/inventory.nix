# What deployvm asks about one `nixosConfigurations.NAME`: a constant function,
# handed to `nix eval --apply` as text (in pure mode Nix refuses `import /file`).
#
# Returns null when the configuration is not a microVM, and plain data otherwise:
# no key is called `outPath`, because Nix prints a set that has one as that string
# alone. Everything but the runner is asked for with `or`, so that a flake which
# only imitates the attributes of microvm.nix is understood too.
nixos:
let
  inherit (builtins)
    attrValues
    concatMap
    filter
    head
    isAttrs
    isList
    isString
    listToAttrs
    match
    unsafeDiscardStringContext
    ;

  config = nixos.config or { };
  microvm = config.microvm or { };

  # A hypervisor imports microvm.nix's host module, which has no runner of its own.
  # `?` looks at names only: for any other host this is all that is ever forced.
  isMicrovm = microvm ? declaredRunner && (microvm.guest.enable or true);

  # Texts without context, because nothing here is to be built or copied. The .drv
  # files are in the store nevertheless: evaluating `drvPath` writes them.
  text = value: unsafeDiscardStringContext "${value}";

  # Options accept one value where a list is meant.
  list =
    value:
    if value == null then
      [ ]
    else if isList value then
      value
    else
      [ value ];

  values = set: if isAttrs set then attrValues set else [ ];

  # "10.1.0.2/24" and "fe80::1%eth0" without what follows the address; what is
  # no text is left out.
  bare = address: head (match "([^/%]*).*" address);
  addresses = concatMap (address: if isString address then [ (bare address) ] else [ ]);

  fromNetworkd = concatMap (
    network:
    list (network.address or null)
    ++ list (network.networkConfig.Address or null)
    # Current NixOS writes `addresses = [ { Address = …; } ]`; before 24.11 there
    # was an `addressConfig` between.
    ++ map (a: a.Address or a.addressConfig.Address or a) (list (network.addresses or null))
  ) (values (config.systemd.network.networks or { }));

  fromScripts = concatMap (
    interface: map (a: a.address or null) (list (interface.ipv4.addresses or null))
  ) (values (config.networking.interfaces or { }));

  # Options that nobody set are null or empty; deployvm calls that "not said".
  said =
    value:
    if isAttrs value then
      listToAttrs (
        concatMap (
          name:
          let
            inner = said value.${name};
          in
          if inner == null then
            [ ]
          else
            [
              {
                inherit name;
                value = inner;
              }
            ]
        ) (builtins.attrNames value)
      )
    else if isList value then
      map said value
    else
      value;
  isEmpty =
    value:
    value == null
    || value == [ ]
    # Comparing with { } would compare functions and derivations; names suffice.
    || (isAttrs value && builtins.attrNames value == [ ]);
  settings =
    let
      all = said config.deployvm;
    in
    if isAttrs all then
      removeAttrs all (filter (name: isEmpty all.${name}) (builtins.attrNames all))
    else
      all;
in
if !isMicrovm then
  null
else
  {
    drv = text microvm.declaredRunner.drvPath;
    out = text microvm.declaredRunner.outPath;
    toplevel =
      let
        path = config.system.build.toplevel.outPath or null;
      in
      if path == null then null else text path;
    system =
      microvm.declaredRunner.system or nixos.pkgs.stdenv.hostPlatform.system
        or config.nixpkgs.hostPlatform.system or null;
    hypervisor = microvm.hypervisor or null;
    mem = microvm.mem or null;
    vcpu = microvm.vcpu or null;
    cid = microvm.vsock.cid or null;
    interfaces = map (interface: {
      type = interface.type or "tap";
      id = interface.id or "";
      mac = interface.mac or null;
      bridge = interface.bridge or null;
    }) (list (microvm.interfaces or null));
    addresses = addresses (list (config.deployvm.address or null) ++ fromNetworkd ++ fromScripts);
    volumes = map (volume: text volume.image) (
      filter (volume: volume ? image && !(volume.readOnly or false)) (list (microvm.volumes or null))
    );
    sshd = config.services.openssh.enable or false;
    settings = if config ? deployvm then settings else null;
  }
