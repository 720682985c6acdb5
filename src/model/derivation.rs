//! A derivation: how Nix makes something, as its `.drv` file says it.

use std::collections::{BTreeMap, BTreeSet};

use super::store_path::StorePath;

/// What a `.drv` file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Derivation {
    /// What it makes, by the output's name.
    pub outputs: BTreeMap<String, Made>,
    /// The derivations that it needs, each with the names of the outputs.
    pub inputs: BTreeMap<StorePath, BTreeSet<String>>,
    /// Files that it needs as they are.
    pub sources: BTreeSet<StorePath>,
    /// Nix system, such as `x86_64-linux`.
    pub system: String,
    /// The program that makes it.
    pub builder: String,
    /// That program's arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
}

impl Derivation {
    /// About how many bytes it takes to say it.
    pub fn weight(&self) -> usize {
        let made: usize = self.outputs.iter().map(|(name, made)| name.len() + made.hash.len() + PATH).sum();
        let inputs: usize = self.inputs.values().flatten().map(|name| name.len() + PATH).sum();
        let args: usize = self.args.iter().map(String::len).sum();
        let env: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        made + inputs + self.sources.len() * PATH + args + env + self.system.len() + self.builder.len()
    }
}

/// About so many bytes has a store path.
const PATH: usize = 80;

/// One output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// Where it will be; `None` where only its content decides that.
    pub path: Option<StorePath>,
    /// Its hash, for what has one before it is made, such as a download: empty otherwise.
    pub hash: String,
}
