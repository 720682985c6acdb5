# What the hypervisor and the VM must agree on, once.
{
  hypervisor = {
    # How SSH reaches it from where you push; a Host of your ~/.ssh/config will do.
    address = "root@hypervisor.example";

    # Its interface to the outside, as `ip route get 9.9.9.9` says after `dev`.
    uplink = "eth0";

    # "x86_64-linux" or "aarch64-linux"; the VM is of the same kind.
    system = "x86_64-linux";
  };

  # SSH keys that may log in as root, on the hypervisor and in the VM.
  keys = [
    # "ssh-ed25519 AAAA... you@laptop"
  ];

  # The network between the two.
  vm = {
    address = "10.1.0.2";
    gateway = "10.1.0.1"; # the hypervisor, on its bridge
    prefixLength = 24;
    mac = "02:00:00:00:00:01"; # 02 marks a locally administered address
    tap = "vm-vm1";
    bridge = "br-vm1";
    dns = [
      "9.9.9.9"
      "1.1.1.1"
    ];
  };
}
