# vm1: an empty machine to make something of.
{
  microvm.mem = 512; # MiB
}
