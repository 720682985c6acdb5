# What `nix flake check` builds. Tests that need a network, a store or systemd of
# their own cannot run in its sandbox; CI runs those from tests/.
{
  lib,
  pkgs,
  package,
  nixfmt,
  src,
}:
{
  # Builds, and runs the unit tests.
  inherit package;

  clippy = package.overrideAttrs (old: {
    pname = "deployvm-clippy";
    nativeBuildInputs = old.nativeBuildInputs ++ [ pkgs.clippy ];
    buildPhase = "cargo clippy --offline --lib --bins -- --deny warnings";
    installPhase = "touch $out";
    # There is no program to test, wrap or strip.
    doCheck = false;
    postInstall = "";
    dontFixup = true;
  });

  formatting =
    pkgs.runCommand "deployvm-formatting"
      {
        nativeBuildInputs = [
          nixfmt
          pkgs.cargo
          pkgs.rustfmt
          pkgs.shellcheck
        ];
      }
      ''
        export CARGO_HOME=$TMPDIR
        cd ${src}
        cargo fmt --check
        find . -name '*.nix' -exec nixfmt --check {} +
        find . \( -name '*.sh' -o -path ./tests/flake/run \) -exec shellcheck {} +
        touch $out
      '';

  # Evaluating is the test: a module that accepts too much or refuses something
  # good throws here.
  modules = pkgs.writeText "deployvm-modules" (
    builtins.toJSON (import ./modules/test.nix { inherit lib; })
  );
}
