{
  index = 4;
  version = "1";
  mem = 96;
  ssh = false;
  volume = 0;
  fault = null;
}
