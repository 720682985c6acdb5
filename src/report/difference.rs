//! The text of `diff`: a closure diff for each VM, and what more was asked.

use super::page::{Page, Tone};
use super::{closure, quantity, texts, why};
use crate::model::closure::ClosureDiff;
use crate::model::name::VmName;
use crate::model::store_path::StorePath;
use crate::model::text::Texts;
use crate::model::why::Why;

/// What differs for one VM, for `diff`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The microVM.
    pub vm: VmName,
    /// The runner that was compared.
    pub from: Option<StorePath>,
    /// The runner that it was compared with.
    pub to: Option<StorePath>,
    /// The difference.
    pub diff: ClosureDiff,
    /// At most so many NAR bytes would have to be sent, if that was asked.
    pub bytes_to_send: Option<u64>,
    /// Why they differ, if that was asked.
    pub why: Option<Why>,
    /// How their small text files differ, if that was asked.
    pub files: Option<Texts>,
}

impl Difference {
    /// Two runners, of which nothing more is known yet.
    pub fn between(vm: VmName, from: Option<StorePath>, to: StorePath) -> Self {
        let (diff, to) = (ClosureDiff::default(), Some(to));
        Self { vm, from, to, diff, bytes_to_send: None, why: None, files: None }
    }

    /// Whether they are the same.
    pub fn is_none(&self) -> bool {
        self.from == self.to
    }
}

/// The whole text, without a newline at its end.
pub fn text(differences: &[Difference], page: Page) -> String {
    if differences.is_empty() {
        return "nothing to compare".to_owned();
    }
    let blocks = differences.iter().map(|each| one(each, page).join("\n"));
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn one(each: &Difference, page: Page) -> Vec<String> {
    let name = page.paint(Tone::Strong, each.vm.as_str());
    let runners = match (&each.from, &each.to) {
        (from, Some(to)) => quantity::short_move(from.as_ref(), to),
        (Some(from), None) => format!("{} → nothing", quantity::short(from)),
        (None, None) => "nothing".to_owned(),
    };
    let mut lines = vec![page.cut(&format!("{name}  {runners}"))];
    let changes = closure::lines(&each.diff, page, 2);
    if changes.is_empty() {
        lines.push("  no difference".to_owned());
    } else {
        lines.extend(changes);
        lines.push(size(each, page));
    }
    if !each.is_none() {
        lines.extend(each.why.iter().flat_map(|told| why::lines(told, page)));
        lines.extend(each.files.iter().flat_map(|told| texts::lines(told, page)));
    }
    lines
}

fn size(each: &Difference, page: Page) -> String {
    let send = match each.bytes_to_send {
        Some(bytes) => format!(", at most {} to send", quantity::bytes(bytes)),
        None => String::new(),
    };
    page.cut(&format!("  {}{send}", closure::size(&each.diff)))
}
