# The hypervisor's own system, as far as a flake with microvm.nix's host module
# shows it. Its switch-to-configuration only writes down that it was called.
#
#   version  of the system     fault  null or "switch": switching fails
{ parts }:
name: words:
let
  host = {
    version = "1";
    fault = null;
  }
  // words;
  inherit (parts) run busybox;

  app = run "host-app-${host.version}" { } ''
    mkdir $out
    echo ${host.version} >$out/version
  '';

  toplevel =
    run "nixos-system-hv-24.11.lab"
      {
        switch = ''
          #!${busybox}/bin/sh
          set -eu
          PATH=${busybox}/bin
          echo "$1 ${host.version}" >>/var/lib/lab-switches
          ${
            if host.fault == "switch" then
              ''
                echo "switching to version ${host.version} fails, on purpose" >&2
                exit 4
              ''
            else
              ""
          }
          echo "switched to version ${host.version}"
        '';
      }
      ''
        mkdir -p $out/bin $out/sw
        printf %s "$switch" >$out/bin/switch-to-configuration
        chmod +x $out/bin/switch-to-configuration
        ln -s ${app} $out/sw/app
        echo -n ${parts.system} >$out/system
        echo -n 24.11.lab >$out/nixos-version
      '';
in
{
  config = {
    microvm.host.enable = true;
    microvm.stateDir = "/var/lib/microvms";
    microvm.vms = { };
    microvm.autostart = [ ];
    networking.hostName = "hv";
    systemd.network.networks = { };
    services.openssh = {
      enable = true;
      ports = [ 22 ];
    };
    nixpkgs.hostPlatform.system = parts.system;
    system.build.toplevel = toplevel;
    system.stateVersion = "24.11";
  };
  pkgs.stdenv.hostPlatform.system = parts.system;
}
