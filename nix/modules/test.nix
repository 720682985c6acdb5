# Evaluates the modules with values that must be taken and values that must be
# refused. Needs nothing but nixpkgs' library, so it runs in `nix flake check`
# with the real one and in tests/flake with a stand-in. Gives the number of cases,
# or throws.
{ lib }:
let
  evaluate =
    deployvm:
    (lib.evalModules {
      modules = [
        ./guest.nix
        { inherit deployvm; }
      ];
    }).config.deployvm;

  accepted = deployvm: (builtins.tryEval (builtins.deepSeq (evaluate deployvm) true)).success;

  full = {
    hypervisor = "main";
    tags = [ "web" ];
    after = [ "vm1" ];
    address = "10.2.0.2";
    settle = 0;
    boot = 60;
    within = 30;
    verdict = 30;
    guest = {
      user = "root";
      port = 22;
      via = "vsock";
    };
    checks = {
      web = {
        http = "http://10.1.0.2/";
        status = 200;
        body = "hello";
        from = [
          "hypervisor"
          "laptop"
        ];
        within = 5;
        strict = true;
      };
      database.tcp = "10.1.0.2:5432";
      six.tcp = "[fd00::2]:22";
      out = {
        ping = "1.1.1.1";
        from = [ "vm" ];
      };
      jail = {
        tcp = "10.2.0.2:22";
        from = [ "vm" ];
        expect = "refused";
      };
      names.dns = "example.org";
      app.exec = [
        "systemctl"
        "is-active"
        "app"
      ];
    };
  };

  check = value: { checks.it = value; };

  good = {
    nothing = { };
    everything = full;
    absent = {
      settle = null;
      address = null;
    };
    longest-name.after = [ (lib.concatStringsSep "" (lib.genList (_: "a") 64)) ];
  };

  wrong = {
    hypervisor-number.hypervisor = 1;
    tags-string.tags = "web";
    name-with-slash.after = [ "../vm1" ];
    name-empty.tags = [ "" ];
    name-too-long.after = [ (lib.concatStringsSep "" (lib.genList (_: "a") 65)) ];
    settle-negative.settle = -1;
    settle-text.settle = "5s";
    deadline-zero.boot = 0;
    deadline-fraction.verdict = 1.5;
    deadline-unknown.reboot = 1;
    port-too-large.guest.port = 65536;
    via-unknown.guest.via = "serial";
    key-unknown.adress = "10.1.0.2";
    check-key-unknown = check {
      ping = "10.1.0.2";
      when = "now";
    };
    check-without-question = check { within = 3; };
    check-with-two-questions = check {
      ping = "10.1.0.2";
      tcp = "10.1.0.2:22";
    };
    status-without-http = check {
      tcp = "10.1.0.2:80";
      status = 200;
    };
    status-impossible = check {
      http = "http://10.1.0.2/";
      status = 42;
    };
    url-without-scheme = check { http = "10.1.0.2"; };
    tcp-without-port = check { tcp = "10.1.0.2"; };
    tcp-six-without-brackets = check { tcp = "fd00::2:22"; };
    exec-string = check { exec = "systemctl is-active app"; };
    exec-empty = check { exec = [ ]; };
    from-string = check {
      ping = "10.1.0.2";
      from = "vm";
    };
    from-nowhere = check {
      ping = "10.1.0.2";
      from = [ ];
    };
    from-unknown = check {
      ping = "10.1.0.2";
      from = [ "moon" ];
    };
    expect-unknown = check {
      ping = "10.1.0.2";
      expect = "closed";
    };
    within-text = check {
      ping = "10.1.0.2";
      within = "30s";
    };
  };

  names = set: lib.concatStringsSep " " (lib.attrNames set);
  refusedGood = lib.filterAttrs (_: value: !accepted value) good;
  acceptedWrong = lib.filterAttrs (_: accepted) wrong;

  jail = (evaluate full).checks.jail;
  empty = evaluate { };
in
if refusedGood != { } then
  throw "guest module refuses good values: ${names refusedGood}"
else if acceptedWrong != { } then
  throw "guest module accepts wrong values: ${names acceptedWrong}"
else if jail.within != null || jail.strict || jail.http != null || jail.from != [ "vm" ] then
  throw "guest module: defaults of a check differ from the documented ones"
else if empty.tags != [ ] || empty.boot != null || empty.checks != { } then
  throw "guest module: says something when nothing was said"
else
  {
    good = lib.length (lib.attrNames good);
    wrong = lib.length (lib.attrNames wrong);
  }
