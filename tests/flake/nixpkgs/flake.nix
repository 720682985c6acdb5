# Stand-in for nixpkgs: empty derivations, and the NixOS options that are set, by name and type.
{
  outputs =
    _:
    let
      lib = import ./lib.nix;
      names = "cargo clippy coreutils curl gawk getent gitMinimal gnugrep iproute2 iputils libiconv nixfmt openssh rustc rustfmt shellcheck util-linux installShellFiles makeWrapper";
      dropped = [ ];
      drv =
        attrs:
        derivation ({ builder = "/bin/sh"; } // removeAttrs attrs [ "meta" ])
        // {
          meta = attrs.meta or { };
          overrideAttrs = change: drv (attrs // change attrs);
        };
      packages =
        system:
        let
          make = name: attrs: drv ({ inherit name system; } // attrs);
          call = f: args: f (lib.intersectAttrs (lib.functionArgs f) pkgs // args);
          rust = a: make "${a.pname}-${a.version}" (a // { cargoLock = lib.readFile a.cargoLock.lockFile; });
          pkgs = lib.genAttrs (lib.splitString " " names) (name: make name { }) // {
            inherit lib;
            stdenv.hostPlatform.isDarwin = lib.elem system lib.platforms.darwin;
            stdenv.buildPlatform.canExecute = _: true;
            runCommand =
              name: attrs: text:
              make name (attrs // { inherit text; });
            writeText = name: text: make name { inherit text; };
            mkShell = make "nix-shell";
            rustPlatform.buildRustPackage = rust;
            callPackage = file: call (import file);
          };
        in
        if lib.elem system dropped then throw "${system} is dropped" else pkgs;

      t = lib.types;
      network.options =
        lib.of (t.attrsOf t.raw) "matchConfig networkConfig linkConfig netdevConfig"
        // lib.of (t.listOf t.str) "address gateway dns";
      user.options =
        lib.of t.bool "isNormalUser" // lib.of (t.listOf t.str) "openssh.authorizedKeys.keys";
      nixos = { config, pkgs, ... }: {
        options = lib.mergeOptions [
          (lib.of t.str "networking.hostName networking.nat.externalInterface nixpkgs.hostPlatform system.stateVersion")
          (lib.of t.bool "boot.loader.systemd-boot.enable boot.loader.efi.canTouchEfiVariables networking.useNetworkd networking.useDHCP networking.nat.enable networking.nftables.enable services.openssh.enable services.nginx.enable systemd.network.enable")
          (lib.of (t.listOf t.str) "networking.nat.internalInterfaces systemd.tmpfiles.rules")
          (lib.of (t.listOf t.port) "networking.firewall.allowedTCPPorts")
          (lib.of (t.listOf t.package) "environment.systemPackages")
          (lib.of (t.listOf t.raw) "assertions services.openssh.hostKeys security.sudo.extraRules")
          (lib.of (t.attrsOf t.raw) "services.openssh.settings services.nginx.virtualHosts nix.settings systemd.services systemd.timers")
          (lib.of (t.attrsOf (t.submodule user)) "users.users")
          (lib.of (t.attrsOf (
            t.submodule { options = lib.of t.str "family content"; }
          )) "networking.nftables.tables")
          (lib.of (t.attrsOf (t.submodule network)) "systemd.network.networks systemd.network.netdevs")
          (lib.of t.package "system.build.toplevel")
        ];
        config.system.build.toplevel = lib.foldl' holds pkgs.cargo config.assertions;
      };
      holds = system: a: if a.assertion then system else throw "Failed assertions: ${a.message}";
      specialArgs = config: { pkgs = packages config.nixpkgs.hostPlatform; };
      nixosSystem =
        args:
        lib.evalModules {
          inherit specialArgs;
          modules = args.modules ++ [ nixos ];
        };
    in
    {
      lib = lib // {
        inherit nixosSystem;
      };
      legacyPackages = lib.genAttrs (lib.platforms.linux ++ lib.platforms.darwin) packages;
    };
}
