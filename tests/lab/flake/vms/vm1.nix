{
  index = 1;
  evalCost = 0;
  version = "1";
  mem = 96;
  ssh = true;
  volume = 8;
  fault = null;
}
