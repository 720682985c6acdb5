{
  index = 1;
  version = "1";
  mem = 96;
  ssh = true;
  volume = 8;
  fault = null;
}
