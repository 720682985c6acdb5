# The shape that each output of the flake must have, by the output's name. Each is a
# function of the output that gives true or throws; derivations are instantiated.
let
  systems = [
    "aarch64-darwin"
    "aarch64-linux"
    "x86_64-darwin"
    "x86_64-linux"
  ];
  sameNames =
    set: names: builtins.attrNames set == names || throw "has ${toString (builtins.attrNames set)}";
  perSystem =
    holds: output:
    sameNames output systems
    && builtins.all (system: holds system output.${system} || throw "${system} is wrong") systems;
  derivation =
    system: value:
    value.type == "derivation" && value.system == system && builtins.isString value.drvPath;
in
{
  packages = perSystem (
    system: set: derivation system set.default && set.default.meta.mainProgram == "deployvm"
  );
  apps = perSystem (
    _: set:
    set.default.type == "app"
    && builtins.match "${builtins.storeDir}/[^/]+/bin/deployvm" set.default.program != null
  );
  devShells = perSystem (system: set: derivation system set.default);
  checks = perSystem (
    system: set:
    sameNames set [
      "clippy"
      "formatting"
      "modules"
      "package"
    ]
    && builtins.all (derivation system) (builtins.attrValues set)
  );
  overlays = set: builtins.isFunction set.default;
  nixosModules =
    set:
    sameNames set [
      "default"
      "guest"
      "hypervisor"
    ]
    && builtins.all (module: builtins.all builtins.isPath module.imports) (builtins.attrValues set);
  templates =
    set:
    sameNames set [
      "default"
      "github-actions"
      "gitlab-ci"
      "infra"
      "single"
    ]
    && builtins.all (template: builtins.isString template.description) (builtins.attrValues set)
    && builtins.all builtins.pathExists [
      (set.default.path + "/flake.nix")
      (set.single.path + "/flake.nix")
      (set.github-actions.path + "/.github/workflows/deployvm.yml")
      (set.gitlab-ci.path + "/.gitlab-ci.yml")
    ];
}
