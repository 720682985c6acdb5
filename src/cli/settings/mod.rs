//! Settings in layers, later ones winning: built-in defaults; the flake's `deployvm`
//! output; `deployvm.toml` at the flake's root; its table `[environments.NAME]`;
//! `DEPLOYVM_*` variables; flags. Tables are merged by key, lists and scalars are
//! replaced. Every value remembers its layer, for errors and for `deployvm config`.
//!
//! The flake's layer is known only after evaluation, so settling takes two steps:
//! [`Layers::before_flake`] and [`Layers::with_flake`].

pub mod access;
pub mod describe;
pub mod env;
pub mod file;
pub mod hypervisor;
mod node;
mod shape;
pub mod source;

use std::ffi::OsString;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::args::{Committed, Global};
use crate::error::{Failure, Result};
use crate::model::address::Address;
use crate::model::name::VmName;
use crate::model::settings::{Deadlines, DeployvmOutput, Guest, Settings, Via, VmSettings};
use node::{Node, without_nulls};
use shape::{OUTPUT, SETTINGS, VM};
use source::Source;

/// Every layer but the flake's.
#[derive(Debug)]
pub struct Layers {
    environment: Environment,
    root: Option<Utf8PathBuf>,
    /// Weaker than the flake.
    base: Node,
    /// Stronger than the flake, merged.
    over: Node,
}

/// All layers, merged.
#[derive(Debug)]
pub struct Settled {
    /// The values.
    pub settings: Settings,
    /// Which environment, of which.
    pub environment: Environment,
    tree: Node,
}

/// The environment of this run, and those that there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The one that was chosen, if one was.
    pub name: Option<String>,
    /// The flag or the variable that chose it.
    pub chosen_by: Option<&'static str>,
    /// Those in `deployvm.toml`, by name.
    pub known: Vec<String>,
}

impl Layers {
    /// Reads every layer but the flake's, from this process's surroundings.
    ///
    /// # Errors
    /// When a layer is not valid (exit 2): unknown keys, wrong types, bad TOML.
    pub fn before_flake(global: &Global) -> Result<Self> {
        if let Some(Committed { toml, name }) = &global.committed {
            let file = file::committed(toml.as_deref(), name)?;
            return Self::from_file(global, None, file, std::env::vars_os());
        }
        let here = std::env::current_dir().ok().and_then(|dir| Utf8PathBuf::from_path_buf(dir).ok());
        let root = here.and_then(|here| file::flake_root(global.flake.as_deref(), &here));
        Self::from_parts(global, root, std::env::vars_os())
    }

    /// The same with everything from outside as arguments: the flake's directory, if
    /// it is in one, and the environment.
    ///
    /// # Errors
    /// When a layer is not valid (exit 2).
    pub fn from_parts(
        global: &Global,
        root: Option<Utf8PathBuf>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        let file = file::read(root.as_deref())?;
        Self::from_file(global, root, file, variables)
    }

    fn from_file(
        global: &Global,
        root: Option<Utf8PathBuf>,
        file: file::File,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        let variables = env::read(variables)?;
        let by_flag = global.env.clone().map(|name| (name, "--env"));
        let chosen = by_flag.or(variables.environment.map(|name| (name, env::ENVIRONMENT)));
        let mut over = file.layer.clone();
        if let Some((name, _)) = &chosen {
            over = over.merge(&SETTINGS, file.environment(name)?);
        }
        let (name, chosen_by) = chosen.unzip();
        let environment = Environment { name, chosen_by, known: file.environments() };
        over = over.merge(&SETTINGS, variables.layer);
        if let Some(hypervisor) = &global.hypervisor {
            let source = Source::Flag("--hypervisor");
            over = over
                .merge(&SETTINGS, Node::read(&SETTINGS, json!({ "hypervisor": hypervisor }), &source, &[])?);
        }
        let base = Node::read(&SETTINGS, built_in()?, &Source::BuiltIn, &[])?;
        Ok(Self { environment, root, base, over })
    }

    /// The directory of the flake, if it is a local one.
    pub fn root(&self) -> Option<&Utf8Path> {
        self.root.as_deref()
    }

    /// The hypervisor of this run, where it is certain before the flake is known, so
    /// that the connection can be opened meanwhile: it was named for this run, and
    /// nothing in the flake can change what the name means.
    pub fn certain_hypervisor(&self) -> Option<(String, Address)> {
        let (text, source) = self.over.text(&["hypervisor"])?;
        if !source.is_for_this_run() {
            return None;
        }
        if let Some((address, _)) = self.over.text(&["hypervisors", text, "address"]) {
            return Some((text.to_owned(), address.parse().ok()?));
        }
        // A bare word may be a name that only the flake explains.
        let address: Address = text.parse().ok()?;
        (text == "local" || text.contains(['@', ':'])).then(|| (address.to_string(), address))
    }

    /// Adds the flake's layer.
    ///
    /// # Errors
    /// When the flake's output is not valid (exit 2).
    pub fn with_flake(self, output: Option<&DeployvmOutput>) -> Result<Settled> {
        self.with_flake_value(output.map(value_of).transpose()?)
    }

    /// The same for an output that has not been parsed: unknown keys and wrong types
    /// are reported like those of every other layer.
    ///
    /// # Errors
    /// When the flake's output is not valid (exit 2).
    pub fn with_flake_value(self, output: Option<Value>) -> Result<Settled> {
        let mut tree = self.base;
        if let Some(output) = output {
            let layer = Node::read(&OUTPUT, without_nulls(output), &Source::Flake, &[])?;
            tree = tree.merge(&SETTINGS, layer);
        }
        tree = tree.merge(&SETTINGS, self.over);
        hypervisor::prefer_this_run(&mut tree);
        Ok(Settled { settings: parsed(tree.value())?, environment: self.environment, tree })
    }
}

impl Settled {
    /// What holds for one VM: what the layers say about it, over what its own
    /// configuration says, over the defaults. Merged by key, as everywhere.
    ///
    /// # Errors
    /// When its configuration says something that is not valid (exit 2).
    pub fn vm(&self, name: &VmName, own: Option<&VmSettings>) -> Result<VmSettings> {
        parsed(self.tree_of(name, own)?.value())
    }

    /// The same as a tree, whose hypervisor is the one that was named for this run where
    /// no layer says more of this VM.
    fn tree_of(&self, name: &VmName, own: Option<&VmSettings>) -> Result<Node> {
        let mut tree = self.tree.get(&["defaults"]).cloned().unwrap_or_default();
        if let Some(own) = own {
            let source = Source::Module(name.to_string());
            tree = tree.merge(&VM, Node::read(&VM, without_nulls(value_of(own)?), &source, &[])?);
        }
        let layers = self.tree.get(&["vms", name.as_str()]).cloned().unwrap_or_default();
        let named = layers.text(&["hypervisor"]).is_some();
        let tree = tree.merge(&VM, layers);
        match self.tree.text(&["hypervisor"]) {
            Some((text, source)) if !named && source.is_for_this_run() => {
                let said = Node::read(&VM, json!({ "hypervisor": text }), source, &[])?;
                Ok(tree.merge(&VM, said))
            }
            _ => Ok(tree),
        }
    }

    /// Refuses settings for VMs that the flake does not have.
    ///
    /// # Errors
    /// Names the first such VM, its layer and the nearest name (exit 2).
    pub fn check_vm_names(&self, in_flake: &[String]) -> Result<()> {
        let Some(vms) = self.tree.get(&["vms"]) else { return Ok(()) };
        let Some(name) = vms.keys().into_iter().find(|name| !in_flake.contains(name)) else { return Ok(()) };
        let leaves = vms.get(&[&name]).map(Node::leaves).unwrap_or_default();
        let layer = leaves.first().map(|(_, _, source)| format!(" in {source}")).unwrap_or_default();
        let failure = Failure::usage(format!("vms.{name}{layer}: the flake has no such configuration"));
        Err(match node::nearest(&name, in_flake.iter().map(String::as_str)) {
            Some(near) => failure.help(format!("did you mean {near:?}?")),
            None => failure.help(format!("it has {}", in_flake.join(", "))),
        })
    }
}

/// deployvm's own defaults, as a layer.
fn built_in() -> Result<Value> {
    let Deadlines { settle, boot, within, verdict } = Deadlines::default();
    let guest = Guest { user: Some("root".to_owned()), port: Some(22), via: Some(Via::default()) };
    let guest = value_of(&guest)?;
    Ok(json!({ "defaults":
        { "settle": settle, "boot": boot, "within": within, "verdict": verdict, "guest": guest } }))
}

fn value_of(settings: &impl Serialize) -> Result<Value> {
    serde_json::to_value(settings)
        .map_err(|error| Failure::bug(format!("settings cannot be written: {error}")))
}

/// A tree that fits its shape fits the type; a test holds the two together.
fn parsed<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Failure::bug(format!("settings do not fit: {error}")))
}

#[cfg(test)]
mod tests;
