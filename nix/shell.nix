# What one needs to work on deployvm. Nix and OpenSSH stay the user's own.
{ pkgs, nixfmt }:
pkgs.mkShell {
  packages = [
    nixfmt
    pkgs.cargo
    pkgs.clippy
    pkgs.rustc
    pkgs.rustfmt
    pkgs.shellcheck
  ];
}
