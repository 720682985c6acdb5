# One microVM: from the few words in vms/NAME.nix to what microvm.nix makes of
# a NixOS configuration.
#
#   index     10.INDEX.0.2 is its address     version  of its application
#   libfoo    version of a library            mem, vcpu
#   ssh       sshd inside                     volume   size of its disk in MiB, 0: none
#   storeOnDisk   no share/microvm/system in the runner
#   shutdown  "waits": microvm-shutdown returns when the guest is down;
#             "stdin": when its own stdin ends, as older runners do
#   stopSeconds   how long the guest takes to shut down
#   evalCost  seconds that its evaluation takes, about
#   motd      text of its /etc/motd, null: none
#   fault     null or one of panic exit tap http mute slow eval build
{ parts }:
name: words:
let
  defaults = {
    version = "1";
    libfoo = "2.1";
    mem = 96;
    vcpu = 1;
    ssh = false;
    volume = 0;
    storeOnDisk = false;
    shutdown = "waits";
    stopSeconds = 0;
    evalCost = 0;
    motd = null;
    fault = null;
  };
  known = builtins.attrNames defaults ++ [ "index" ];
  vm = builtins.mapAttrs (
    word: value: if builtins.elem word known then value else throw "${name}: unknown word ${word}"
  ) (defaults // words);

  inherit (parts)
    run
    busybox
    kernel
    tools
    ;
  number = toString vm.index;
  address = "10.${number}.0.2/24";
  tap = "vm-${name}";
  mac = "02:00:00:00:0${number}:01";
  image = "${name}-data.img";
  socket = "${name}.sock";
  fault = if vm.fault == null then "" else vm.fault;
  sh = "${busybox}/bin/sh";

  libfoo = run "libfoo-${vm.libfoo}" { } ''
    mkdir -p $out/lib
    seq 1 20000 >$out/lib/libfoo.so.${vm.libfoo}
  '';

  app =
    run "app-${vm.version}"
      {
        program = ''
          #!${sh}
          echo "${name} version ${vm.version} with ${libfoo}/lib"
        '';
      }
      ''
        mkdir -p $out/bin
        printf %s "$program" >$out/bin/app
        chmod +x $out/bin/app
      '';

  broken = run "broken-1.0" { } ''
    echo "checking for a compiler... none"
    echo "${name}: this derivation fails on purpose" >&2
    exit 1
  '';

  units =
    run "system-units"
      {
        unit = "[Service]\nExecStart=${app}/bin/app\n";
      }
      ''
        mkdir $out
        printf %s "$unit" >$out/app.service
      '';

  etc = run "etc" { } ''
    mkdir -p $out/etc/systemd
    echo ${name} >$out/etc/hostname
    ${if vm.motd == null then "" else "printf '%b' '${vm.motd}' >$out/etc/motd"}
    ln -s ${units} $out/etc/systemd/system
  '';

  path = run "system-path" { } ''
    mkdir -p $out/bin
    ln -s ${busybox}/bin/busybox ${app}/bin/app $out/bin/
    ${if vm.fault == "build" then "ln -s ${broken} $out/broken" else ""}
  '';

  initrd =
    run "initrd-linux-${parts.kernelVersion}"
      {
        conf = ''
          NAME=${name}
          TEXT="${name} version ${vm.version}"
          ADDRESS=${address}
          GATEWAY=10.${number}.0.1
          FAULT=${fault}
          STOP=${toString vm.stopSeconds}
          DATA=${if vm.volume == 0 then "" else "/dev/vda"}
          TOOLS=${
            if !vm.ssh then
              ""
            else if vm.volume == 0 then
              "/dev/vda"
            else
              "/dev/vdb"
          }
        '';
      }
      ''
        mkdir -p root/bin root/etc root/proc root/sys root/dev root/keys $out
        cp ${busybox}/bin/busybox root/bin/
        cp -r ${kernel}/modules root/modules
        cp ${./guest-init} root/init
        chmod 0755 root/init
        printf %s "$conf" >root/etc/lab.conf
        echo root:x:0:0:root:/root:/bin/sh >root/etc/passwd
        echo root:x:0: >root/etc/group
        echo /bin/sh >root/etc/shells
        cp ${parts.keys}/authorized_keys ${parts.keys}/host-key root/keys/
        cd root
        find . | sort | cpio -o -H newc 2>/dev/null >$out/initrd
      '';

  evaluated =
    if vm.fault == "eval" then
      throw "${name}: deliberately broken"
    else
      parts.slowly vm.evalCost "nixos-system-${name}-24.11.lab";

  toplevel = run evaluated { } ''
    mkdir $out
    ln -s ${kernel}/bzImage $out/kernel
    ln -s ${initrd}/initrd $out/initrd
    ln -s ${etc}/etc $out/etc
    ln -s ${path} $out/sw
    echo -n ${parts.system} >$out/system
    echo -n 24.11.lab >$out/nixos-version
    printf '#!${sh}\nexec ${path}/bin/app\n' >$out/init
    chmod +x $out/init
  '';

  drive =
    id: file: more:
    "-drive id=${id},if=none,format=raw,file=${file}${more} -device virtio-blk-device,drive=${id}";

  # What a guest of the lab does not need takes a third of its boot, which is emulated:
  # self-tests of ciphers, certificates of modules, guards against other guests.
  quick = "nokaslr mitigations=off cryptomgr.notests initcall_blacklist=init_kprobe_trace,crypto_kdf108_init,load_system_certificate_list,cubictcp_register";

  # The programs of the hypervisor's own that a real runner has in its closure.
  programs = "/opt/lab/bin";

  runner =
    run "microvm-qemu-${name}"
      {
        start = ''
          #!${sh}
          set -eu
          PATH=${busybox}/bin
          ${
            if vm.fault == "exit" then
              ''
                echo "${name}: this runner exits at once, on purpose" >&2
                exit 1
              ''
            else
              ""
          }
          ${
            if vm.volume == 0 then
              ""
            else
              ''
                [ -e ${image} ] || truncate -s ${toString vm.volume}M ${image}
              ''
          }
          rm -f ${socket}
          exec ${programs}/qemu-system-x86_64 -name ${name} \
            -M microvm,rtc=on,acpi=on,pit=on,pic=on -accel tcg \
            -m ${toString vm.mem} -smp ${toString vm.vcpu} \
            -nodefaults -no-user-config -nographic -no-reboot \
            -chardev stdio,id=stdio,signal=off -serial chardev:stdio \
            -kernel ${kernel}/bzImage -initrd ${initrd}/initrd \
            -append "console=ttyS0 reboot=t panic=-1 loglevel=3 edd=off tsc_early_khz=2000000 tsc=unstable ${quick} init=${toplevel}/init" \
            -qmp unix:${socket},server,nowait \
            ${if vm.volume == 0 then "" else drive "data" image ""} \
            ${if vm.ssh then drive "tools" "${tools}/tools.tar" ",readonly=on" else ""} \
            -netdev tap,id=${tap},ifname=${tap},script=no,downscript=no \
            -device virtio-net-device,netdev=${tap},mac=${mac}
        '';
        # The power button; QEMU ends, and with it the connection, when the guest is off.
        stop = ''
          #!${sh}
          set -eu
          PATH=${busybox}/bin
          {
            echo '{"execute":"qmp_capabilities"}'
            echo '{"execute":"system_powerdown"}'
            ${if vm.shutdown == "stdin" then "cat" else ""}
          } | ${programs}/socat ${
            if vm.shutdown == "stdin" then "" else "-t 140 "
          }STDIO UNIX:${socket},shut-none >/dev/null
        '';
        tapUp = ''
          #!${sh}
          set -eu
          ${
            if vm.fault == "tap" then
              ''
                echo "${name}: this tap-up fails, on purpose" >&2
                exit 1
              ''
            else
              ""
          }
          if ${programs}/ip link show ${tap} >/dev/null 2>&1; then
            ${programs}/ip link delete ${tap}
          fi
          ${programs}/ip tuntap add name ${tap} mode tap user microvm
          ${programs}/ip link set ${tap} up
        '';
        tapDown = ''
          #!${sh}
          ${programs}/ip link delete ${tap}
        '';
      }
      ''
        mkdir -p $out/bin $out/share/microvm
        printf %s "$start" >$out/bin/microvm-run
        printf %s "$stop" >$out/bin/microvm-shutdown
        printf %s "$tapUp" >$out/bin/tap-up
        printf %s "$tapDown" >$out/bin/tap-down
        chmod +x $out/bin/*
        echo qemu >$out/share/microvm/hypervisor
        echo ${tap} >$out/share/microvm/tap-interfaces
        ${if vm.storeOnDisk then "" else "ln -s ${toplevel} $out/share/microvm/system"}
      '';

  config = {
    microvm = {
      guest.enable = true;
      hypervisor = "qemu";
      declaredRunner = runner;
      runner.qemu = runner;
      inherit (vm) mem vcpu storeOnDisk;
      inherit socket;
      interfaces = [
        {
          type = "tap";
          id = tap;
          inherit mac;
        }
      ];
      volumes =
        if vm.volume == 0 then
          [ ]
        else
          [
            {
              inherit image;
              size = vm.volume;
              mountPoint = "/data";
              autoCreate = true;
            }
          ];
      shares = [ ];
      devices = [ ];
      vsock.cid = null;
      systemSymlink = !vm.storeOnDisk;
    };
    networking.hostName = name;
    # NixOS knows two ways to say it; odd VMs use one, even ones the other.
    systemd.network.networks."20-lan" = {
      matchConfig.Type = "ether";
      address =
        if
          builtins.elem vm.index [
            1
            3
          ]
        then
          [ address ]
        else
          [ ];
      networkConfig = {
        Gateway = "10.${number}.0.1";
        DHCP = "no";
      }
      // (
        if
          builtins.elem vm.index [
            1
            3
          ]
        then
          { }
        else
          { Address = [ address ]; }
      );
    };
    services.openssh = {
      enable = vm.ssh;
      ports = [ 22 ];
    };
    nixpkgs.hostPlatform.system = parts.system;
    system.build.toplevel = toplevel;
    system.stateVersion = "24.11";
  };
in
{
  inherit config;
  pkgs.stdenv.hostPlatform.system = parts.system;
}
