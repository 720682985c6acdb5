{
  index = 2;
  evalCost = 0;
  version = "1";
  mem = 96;
  ssh = false;
  volume = 0;
  fault = null;
}
