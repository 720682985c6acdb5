# The package, for `callPackage`. Nothing in here knows about flakes.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  makeWrapper,
  gitMinimal,
  libiconv,
  openssh,
}:
let
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);

  # What cargo reads: the crate, and the files that it embeds or that its tests
  # open. Everything else may change without a rebuild.
  needed = [
    ".clippy.toml"
    "Cargo.lock"
    "Cargo.toml"
    "build.rs"
    "nix"
    "src"
    "templates"
    "tests"
  ];
in
rustPlatform.buildRustPackage {
  pname = manifest.package.name;
  inherit (manifest.package) version;

  src = lib.cleanSourceWith {
    name = "deployvm-source";
    src = ../.;
    filter =
      path: _type:
      let
        relative = lib.removePrefix (toString ../. + "/") (toString path);
      in
      lib.elem (lib.head (lib.splitString "/" relative)) needed;
  };

  cargoLock.lockFile = ../Cargo.lock;

  # libgit2 and zlib come with their crates and are built by cc, without TLS or SSH,
  # so no C library is needed; macOS keeps iconv in one of its own.
  nativeBuildInputs = [
    installShellFiles
    makeWrapper
  ];
  buildInputs = lib.optionals stdenv.hostPlatform.isDarwin [ libiconv ];

  # The tests under tests/ start ssh, git, Nix and systemd; the build sandbox
  # has none of them. They run in CI.
  cargoTestFlags = [
    "--lib"
    "--bins"
  ];

  # The user's own OpenSSH and git come first, with their agent, their patches
  # and their configuration; these are for machines that have none. Nix is
  # always the user's: a second version must not touch their store.
  postInstall = ''
    wrapProgram $out/bin/deployvm --suffix PATH : ${
      lib.makeBinPath [
        openssh
        gitMinimal
      ]
    }
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    installShellCompletion --cmd deployvm \
      --bash <($out/bin/deployvm completions bash) \
      --fish <($out/bin/deployvm completions fish) \
      --zsh <($out/bin/deployvm completions zsh)
    $out/bin/deployvm man >deployvm.1
    $out/bin/deployvm man --list | while read -r words; do
      # shellcheck disable=SC2086 # a command may be two words
      $out/bin/deployvm man $words >"deployvm-''${words// /-}.1"
    done
    installManPage deployvm*.1
  '';

  meta = {
    inherit (manifest.package) description;
    license = lib.licenses.mit;
    mainProgram = "deployvm";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
