# What all systems of this flake are made of: a way to run a script in a
# derivation, busybox, the kernel, and the tools of those guests that have sshd.
{ guest }:
rec {
  system = "x86_64-linux";

  version = file: builtins.head (builtins.split "\n" (builtins.readFile file));

  busybox = derivation {
    name = "busybox-1.35.0";
    inherit system;
    # It picks its applet by the name it is called by, hence the directory.
    builder = "${guest}/bin/busybox";
    args = [
      "sh"
      "-euc"
      ''
        b=${guest}/bin/busybox
        $b mkdir -p $out/bin
        $b cp $b $out/bin/busybox
        for applet in $($b --list); do
          [ $applet = busybox ] || $b ln -s busybox $out/bin/$applet
        done
      ''
    ];
  };

  # Runs a script that makes $out. `extra` becomes environment variables.
  run =
    name: extra: script:
    derivation (
      {
        inherit name system;
        builder = "${busybox}/bin/sh";
        args = [
          "-euc"
          "export PATH=${busybox}/bin; ${script}"
        ];
      }
      // extra
    );

  kernelVersion = version "${guest}/kernel-version";

  kernel = run "linux-${kernelVersion}" { } ''
    mkdir $out
    cp ${guest}/bzImage $out/bzImage
    cp -r ${guest}/modules $out/modules
  '';

  # A tar archive is a disk that needs no file system driver.
  tools = run "guest-tools-1.0" { } ''
    mkdir $out
    cp ${guest}/tools.tar $out/tools.tar
  '';

  keys = "${guest}";

  # Costs about `seconds` of evaluation and returns `value`.
  slowly =
    seconds: value:
    let
      sum = from: builtins.foldl' (a: b: a + b) 0 (builtins.genList (i: i + from) 10000);
      total = builtins.foldl' (a: b: a + sum b) 0 (builtins.genList (i: i) (seconds * 600));
    in
    if seconds == 0 then value else builtins.seq total value;
}
