# What a VM says about its own deployment, beside the configuration that is to be
# deployed. The keys are those of the flake output `deployvm.vms.NAME`.
#
# Data only: deployvm reads it when it evaluates the flake. Nothing of it gets
# into the system, so changing it changes no store path and restarts no VM.
#
# `null` and empty lists mean "not said here"; a lower layer of settings, or
# deployvm's own default, then decides.
{ lib, ... }:
let
  inherit (lib) mkOption types;

  unsaid =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  # A VM's name becomes a systemd instance, a directory and an attribute.
  vmName = types.strMatching "[A-Za-z0-9][A-Za-z0-9._-]{0,63}";
  hostAndPort = types.strMatching "([^: ]+|[[][0-9A-Fa-f:.]+[]]):[0-9]{1,5}";
  seconds = types.ints.positive;

  # A check asks one question: exactly one of these is set.
  kinds = [
    "http"
    "tcp"
    "ping"
    "dns"
    "exec"
  ];

  check = types.submodule {
    options = {
      http = unsaid (types.strMatching "https?://.+") "URL that must answer.";
      tcp = unsaid hostAndPort "`HOST:PORT` that must accept a connection; IPv6 as `[ADDRESS]:PORT`.";
      ping = unsaid types.str "Address or name that must answer an echo request.";
      dns = unsaid types.str "Name that must resolve.";
      exec = unsaid (types.nonEmptyListOf types.str) ''
        Program and arguments that must exit with 0. There is no shell between.
      '';

      status = unsaid (types.ints.between 100 599) "Status that `http` must answer with; any 2xx if unset.";
      body = unsaid types.str "Regular expression that the body of the answer to `http` must match.";

      from = mkOption {
        type = types.nonEmptyListOf (
          types.enum [
            "laptop"
            "hypervisor"
            "vm"
          ]
        );
        default = [ "hypervisor" ];
        description = "Where the check runs; it must hold from each of them.";
      };
      within = mkOption {
        type = types.nullOr seconds;
        default = null;
        description = "Seconds within which the check must hold, retried until then; `within` of the VM when null.";
      };
      expect = mkOption {
        type = types.enum [
          "ok"
          "refused"
        ];
        default = "ok";
        description = ''
          `refused` turns the check round, for paths that must stay closed: the
          probe must run, and must not get through.
        '';
      };
      strict = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the check fails a deployment even if it failed just before it as well.";
      };
    };
  };

  oneQuestion =
    name: value:
    let
      said = lib.filter (kind: value.${kind} != null) kinds;
      ofHttp = value.status != null || value.body != null;
    in
    if lib.length said != 1 then
      throw "deployvm.checks.${name}: set exactly one of ${lib.concatStringsSep ", " kinds}, not ${
        if said == [ ] then "none" else lib.concatStringsSep " and " said
      }"
    else if ofHttp && value.http == null then
      throw "deployvm.checks.${name}: `status` and `body` belong to `http`, not to `${lib.head said}`"
    else
      value;
in
{
  options.deployvm = {
    hypervisor = unsaid types.str ''
      Hypervisor that this VM runs on: a name from the flake output
      `deployvm.hypervisors`, `[USER@]HOST[:PORT]`, or `local`.
    '';
    tags = mkOption {
      type = types.listOf vmName;
      default = [ ];
      example = [ "web" ];
      description = "Groups to choose VMs by: `deployvm push @web`.";
    };
    after = mkOption {
      type = types.listOf vmName;
      default = [ ];
      example = [ "database" ];
      description = "VMs that are deployed before this one.";
    };
    address = unsaid types.str ''
      Address at which the guest answers. Needed only where the network
      configuration does not name one, as with DHCP.
    '';
    checks = mkOption {
      type = types.attrsOf check;
      default = { };
      apply = lib.mapAttrs oneQuestion;
      example = {
        web = {
          http = "http://10.1.0.2/";
          status = 200;
        };
        jail = {
          tcp = "10.2.0.2:22";
          from = [ "vm" ];
          expect = "refused";
        };
      };
      description = "What must hold after a deployment; otherwise it is undone.";
    };
    guest = {
      user = unsaid types.str "User to enter the guest as.";
      port = unsaid types.port "Port of the guest's SSH server.";
      via = unsaid (types.enum [
        "hypervisor"
        "laptop"
        "vsock"
      ]) "The way into the guest: through the hypervisor, from the laptop itself, or over vsock.";
    };
    settle = unsaid types.ints.unsigned "Seconds that the VM's main process must stay the same to count as started.";
    boot = unsaid seconds "Seconds that the VM has to boot.";
    within = unsaid seconds "Seconds that a check may take that says nothing else.";
    verdict = unsaid seconds ''
      Seconds that the laptop has for its verdict, from the end of the checks.
      Without one the deployment is undone.
    '';
  };
}
