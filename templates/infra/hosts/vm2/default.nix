# vm2: a small web server.
{
  services.nginx = {
    enable = true;
    virtualHosts.default = {
      default = true;
      locations."/".return = ''200 "vm2 is up\n"'';
    };
  };

  networking.firewall.allowedTCPPorts = [ 80 ];
}
