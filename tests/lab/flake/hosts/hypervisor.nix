{
  version = "1";
  fault = null;
}
