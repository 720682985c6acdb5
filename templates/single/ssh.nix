# Root logs in with a key, on the hypervisor and in the VM.
{ config, ... }:
let
  settings = import ./settings.nix;
in
{
  assertions = [
    {
      assertion = config.users.users.root.openssh.authorizedKeys.keys != [ ];
      message = "no SSH key could log in: put yours into `keys` in settings.nix";
    }
  ];

  services.openssh = {
    enable = true;
    settings = {
      PermitRootLogin = "prohibit-password";
      PasswordAuthentication = false;
      KbdInteractiveAuthentication = false;
    };
  };
  users.users.root.openssh.authorizedKeys.keys = settings.keys;
}
