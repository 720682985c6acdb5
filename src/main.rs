//! Parse, run, exit: the only exit.

fn main() {}
