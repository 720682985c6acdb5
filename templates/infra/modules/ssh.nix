# Root logs in with a key, on the hypervisor and in the VMs: to be deployed to, and
# for checks that run inside a VM.
{ config, ... }:
let
  table = import ./networks.nix;
in
{
  assertions = [
    {
      assertion = config.users.users.root.openssh.authorizedKeys.keys != [ ];
      message = "no SSH key could log in: put yours into `keys` in modules/networks.nix";
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
  users.users.root.openssh.authorizedKeys.keys = table.keys;
}
