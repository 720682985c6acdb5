# What deployvm needs on a hypervisor beside microvm.nix's own host module. A
# usual NixOS host already has all of it, and deployvm works without this module:
# it is for hosts that were trimmed, and says so early if something is missing.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
{
  options.deployvm.host.enable = lib.mkOption {
    type = lib.types.bool;
    default = true;
    description = "Whether to prepare this host for deployments by deployvm.";
  };

  config = lib.mkIf config.deployvm.host.enable {
    assertions = [
      {
        assertion = options ? microvm.autostart;
        message = "deployvm deploys into microvm.nix: import `microvm.nixosModules.host` on the hypervisor.";
      }
    ];

    # The ledger, generations and transactions. The first deployment would make
    # the directory as well; here its owner and mode hold from the start.
    systemd.tmpfiles.rules = [ "d /var/lib/deployvm 0755 root root -" ];

    # What deployvm's scripts call over SSH, apart from systemd and Nix.
    environment.systemPackages = [
      pkgs.coreutils
      pkgs.curl
      pkgs.gawk
      pkgs.getent
      pkgs.gnugrep
      pkgs.iproute2
      pkgs.iputils
      pkgs.util-linux
    ];
  };
}
