# The hypervisor's own system, as far as a flake with microvm.nix's host module
# shows it. Its `switch-to-configuration` does in small what that of NixOS does:
# it stops what changes and may be restarted, puts units below /etc in the place
# of those of the system before, points /run/current-system at itself, and starts
# what is to run; `boot` writes what the next boot activates.
#
#   version  of the system                kernel  its version
#   owned    VMs that it declares, as `microvm.vms.NAME.config` does: the words of
#            each, with `autostart` and `restartIfChanged` if they are not true
#   fault    null, or what goes wrong: "switch" (exit 4 before anything is done),
#            "unit" (one fails), "ssh" (sshd stops), "network" (the address goes),
#            "vm" (vm1 is stopped), "boot" (the boot loader cannot be written)
{ parts }:
name: words:
let
  host = {
    version = "1";
    kernel = "1";
    owned = { };
    fault = null;
  }
  // words;
  inherit (parts) run busybox;
  fault = if host.fault == null then "" else host.fault;
  sh = "${busybox}/bin/sh";

  app = run "host-app-${host.version}" { } ''
    mkdir $out
    echo ${host.version} >$out/version
  '';
  part =
    name:
    run "${name}-${host.kernel}" { } ''
      mkdir $out
      echo ${name} >$out/${name}
    '';
  kernel = part "linux";
  initrd = part "initrd";
  modules = part "modules";

  vms = builtins.mapAttrs (
    name: words:
    let
      own = [
        "autostart"
        "restartIfChanged"
      ];
    in
    {
      config = import ./vm.nix { inherit parts; } name (removeAttrs words own);
      autostart = words.autostart or true;
      restartIfChanged = words.restartIfChanged or true;
    }
  ) host.owned;
  autostart = builtins.filter (name: vms.${name}.autostart) (builtins.attrNames vms);

  # Below etc/systemd/system, as microvm.nix writes them.
  unitsOf =
    name: vm:
    let
      inherit (vm.config.config.microvm) declaredRunner;
      inherit (vm.config.config.system.build) toplevel;
    in
    ''
      cat >install-microvm-${name}.service <<UNIT
      [Unit]
      Description=Install MicroVM '${name}'
      Before=microvm@${name}.service microvm-tap-interfaces@${name}.service microvm-set-booted@${name}.service
      [Service]
      Type=oneshot
      ExecStart=${sh} -euc "PATH=${busybox}/bin; mkdir -p /var/lib/microvms/${name}; cd /var/lib/microvms/${name}; ln -sTf ${declaredRunner} current; ln -sTf ${toplevel} toplevel; chown -h microvm:kvm . current toplevel"
      UNIT
      ln -s ../install-microvm-${name}.service microvms.target.wants/
      mkdir microvm@${name}.service.d
      cat >microvm@${name}.service.d/overrides.conf <<UNIT
      [Service]
      X-RestartIfChanged=${if vm.restartIfChanged then "true" else "false"}
      X-Restart-Triggers=${toplevel}
      UNIT
    '';

  etc =
    run "etc-${host.version}"
      {
        units = builtins.concatStringsSep "" (builtins.attrValues (builtins.mapAttrs unitsOf vms));
      }
      ''
        mkdir -p $out/systemd/system/microvms.target.wants
        echo ${host.version} >$out/lab-version
        cd $out/systemd/system
        echo "$units" | sed 's/^      //' >/tmp/units.$$
        . /tmp/units.$$
        rm /tmp/units.$$
        for vm in ${toString autostart}; do
          ln -s ../microvm@.service microvms.target.wants/microvm@$vm.service
        done
        ${
          if fault == "unit" then
            ''
              printf '[Service]\nType=oneshot\nExecStart=${busybox}/bin/false\n' >lab-broken.service
              ln -s ../lab-broken.service microvms.target.wants/
            ''
          else
            ""
        }
      '';

  # activate boot|live: what both a boot and a switch do. @out@ is the system.
  activate = ''
    #!${sh}
    set -eu
    PATH=${busybox}/bin
    list=/var/lib/lab-etc
    if [ -e $list ]; then (cd /etc && xargs -r rm -f <$list); fi
    (cd ${etc} && find . ! -type d) >$list
    cp -a ${etc}/. /etc/
    case $1 in
    boot)
      mkdir -p /etc/tmpfiles.d
      printf 'L+ /run/%s-system - - - - @out@\n' current booted >/etc/tmpfiles.d/lab-system.conf
      ;;
    live) ln -sTf @out@ /run/current-system ;;
    esac
  '';

  switch = ''
    #!${sh}
    set -eu
    PATH=${busybox}/bin:/run/current-system/sw/bin:/usr/sbin:/usr/bin
    echo "$1 ${host.version}" >>/var/lib/lab-switches
    if [ "${fault}" = switch ]; then
      echo "switching to version ${host.version} fails, on purpose" >&2
      exit 4
    fi
    case $1 in
    boot | switch)
      if [ "${fault}" = boot ]; then
        echo "the boot loader cannot be written, on purpose" >&2
        exit 1
      fi
      echo @out@ >/boot/lab-default
      ;;
    esac
    if [ "$1" = boot ]; then exit 0; fi

    old=$(readlink -f /run/current-system) stopped=
    for new in ${etc}/systemd/system/microvm@*.service.d; do
      [ -d "$new" ] || continue
      unit=$(basename "$new" .d)
      before=$old/etc/systemd/system/$unit.d/overrides.conf
      if cmp -s "$new/overrides.conf" "$before" || grep -q RestartIfChanged=false "$new/overrides.conf"; then continue; fi
      if systemctl is-active -q "$unit"; then stopped="$stopped $unit"; fi
    done
    [ -z "$stopped" ] || systemctl stop $stopped
    @out@/activate live
    systemctl daemon-reload
    ip address replace 10.99.0.2/24 dev hv0
    systemctl start ssh.service
    # Targets that are active are started again, and so is what they want.
    systemctl start microvms.target $stopped
    case "${fault}" in
    ssh) systemctl stop ssh.service ;;
    network) ip address delete 10.99.0.2/24 dev hv0 ;;
    vm) systemctl stop microvm@vm1.service ;;
    unit)
      systemctl start lab-broken.service || true
      echo "warning: the following units failed: lab-broken.service"
      exit 4
      ;;
    esac
    echo "switched to version ${host.version}"
  '';

  toplevel = run "nixos-system-hv-24.11.lab" { inherit activate switch; } ''
    mkdir -p $out/bin $out/sw
    echo "$activate" | sed "s|@out@|$out|g" >$out/activate
    echo "$switch" | sed "s|@out@|$out|g" >$out/bin/switch-to-configuration
    chmod +x $out/activate $out/bin/switch-to-configuration
    ln -s ${app} $out/sw/app
    ln -s ${etc} $out/etc
    ln -s ${kernel}/linux $out/kernel
    ln -s ${initrd}/initrd $out/initrd
    ln -s ${modules} $out/kernel-modules
    echo -n "quiet loglevel=4" >$out/kernel-params
    echo -n ${parts.system} >$out/system
    echo -n 24.11.lab >$out/nixos-version
  '';
in
{
  config = {
    microvm.host.enable = true;
    microvm.stateDir = "/var/lib/microvms";
    microvm.vms = vms;
    microvm.autostart = autostart;
    networking.hostName = "hv";
    systemd.network.networks = { };
    services.openssh = {
      enable = true;
      ports = [ 22 ];
    };
    boot.kernelPackages.kernel = kernel;
    boot.kernelParams = [
      "quiet"
      "loglevel=4"
    ];
    nixpkgs.hostPlatform.system = parts.system;
    system.build.toplevel = toplevel;
    system.build.initialRamdisk = initrd;
    system.modulesTree = modules;
    system.stateVersion = "24.11";
  };
  pkgs.stdenv.hostPlatform.system = parts.system;
}
