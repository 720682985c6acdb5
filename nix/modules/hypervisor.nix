# What deployvm needs on a hypervisor beside microvm.nix's own host module. A
# usual NixOS host already has all of it, and deployvm works without this module:
# it is for hosts that were trimmed, and says so early if something is missing.
# It also sets up a user who deploys, for hosts whose root does not log in.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  cfg = config.deployvm.host;

  # A package, so that it has one name for good: a rule of sudo can be about it alone.
  entry = pkgs.runCommand "deployvm-entry" { } ''
    install -D -m 0755 ${./entry.sh} $out/bin/deployvm-entry
  '';

  # What is old is decided by the same lines as in `deployvm prune`.
  retention = builtins.toFile "retention.sh" (
    builtins.readFile ../../src/host/scripts/retention.sh + builtins.readFile ./retention.sh
  );
in
{
  options.deployvm.host = {
    enable = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Whether to prepare this host for deployments by deployvm.";
    };

    user = lib.mkOption {
      type = lib.types.nullOr (lib.types.strMatching "[a-z_][a-z0-9_-]*");
      default = null;
      example = "deploy";
      description = ''
        A user to deploy as (`deployvm push -H deploy@this-host`), where root does not log
        in. It may run one command as root, without a password:
        `/run/current-system/sw/bin/deployvm-entry`. That command takes a script, so
        whoever may log in as this user is as good as root here. Without
        {option}`deployvm.host.trustedKeys` Nix also trusts it, and takes what it sends
        unsigned. `null` for no such user.
      '';
    };

    authorizedKeys = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "ssh-ed25519 AAAA… you@laptop" ];
      description = "SSH keys that may log in as {option}`deployvm.host.user`.";
    };

    trustedKeys = lib.mkOption {
      type = lib.types.listOf (lib.types.strMatching "[^: ]+:[A-Za-z0-9+/]+=*");
      default = [ ];
      example = [ "laptop-1:eeUbZguBximeP1837r9EPdeqVOW+uLHR8k2Uft9WsQc=" ];
      description = ''
        Public keys of those who sign what they deploy (`deployvm push --sign-key FILE`).
        With a key here Nix takes nothing unsigned from {option}`deployvm.host.user`.
      '';
    };

    keep = lib.mkOption {
      type = lib.types.nullOr (lib.types.ints.between 2 10000);
      default = null;
      example = 20;
      description = ''
        How many generations of each microVM to keep: so many of the newest, and so many
        verified ones counted back from the one that it is at; others are dropped once a
        day. Those that run, are staged or pinned stay in any case. `null` keeps all.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = options ? microvm.autostart;
        message = "deployvm deploys into microvm.nix: import `microvm.nixosModules.host` on the hypervisor.";
      }
      {
        assertion = cfg.user != "root";
        message = "deployvm.host.user is for a user who is not root: leave it out to deploy as root.";
      }
      {
        assertion = cfg.user != null || cfg.authorizedKeys == [ ];
        message = "deployvm.host.authorizedKeys are those of deployvm.host.user: name one.";
      }
    ];

    # The ledger, generations and transactions. The first deployment would make
    # the directory as well; here its owner and mode hold from the start.
    systemd.tmpfiles.rules = [ "d /var/lib/deployvm 0755 root root -" ];

    # What deployvm's scripts call over SSH, apart from systemd and Nix.
    environment.systemPackages = [
      entry
      pkgs.coreutils
      pkgs.curl
      pkgs.gawk
      pkgs.getent
      pkgs.gnugrep
      pkgs.iproute2
      pkgs.iputils
      pkgs.util-linux
    ];

    users.users = lib.mkIf (cfg.user != null) {
      ${cfg.user} = {
        isNormalUser = true;
        openssh.authorizedKeys.keys = cfg.authorizedKeys;
      };
    };

    security.sudo.extraRules = lib.mkIf (cfg.user != null) [
      {
        users = [ cfg.user ];
        runAs = "root";
        commands = [
          {
            # Two quotes: without arguments.
            command = "/run/current-system/sw/bin/deployvm-entry \"\"";
            options = [ "NOPASSWD" ];
          }
        ];
      }
    ];

    nix.settings = lib.filterAttrs (_: list: list != [ ]) {
      trusted-users = lib.optionals (cfg.user != null && cfg.trustedKeys == [ ]) [
        "root"
        cfg.user
      ];
      trusted-public-keys = cfg.trustedKeys;
    };

    systemd.services = lib.mkIf (cfg.keep != null) {
      deployvm-retention = {
        description = "Drop old generations of microVMs";
        serviceConfig.Type = "oneshot";
        serviceConfig.ExecStart = "/bin/sh ${retention} ${toString cfg.keep}";
      };
    };
    systemd.timers = lib.mkIf (cfg.keep != null) {
      deployvm-retention = {
        wantedBy = [ "timers.target" ];
        timerConfig.OnCalendar = "daily";
        timerConfig.Persistent = true;
      };
    };
  };
}
