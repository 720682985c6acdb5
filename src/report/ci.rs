//! The logs of pipelines: groups that fold, annotations, and lines that are no commands.
//! GitHub Actions obeys every line that begins with `::`, and `##[` anywhere in one,
//! whoever printed it, so nothing but what is made here may look like that.
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>,
//! <https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections>

use crate::error::Failure;
use crate::model::outcome::{Outcome, Word};
use crate::model::plan::Plan;

use super::page::harmless;
use super::summary;

/// Whose pipeline this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forge {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
}

/// The forge that set these variables.
pub fn forge(variable: impl Fn(&str) -> Option<String>) -> Option<Forge> {
    let is_true = |name: &str| variable(name).is_some_and(|value| value == "true");
    match (is_true("GITHUB_ACTIONS"), is_true("GITLAB_CI")) {
        (true, _) => Some(Forge::Github),
        (_, true) => Some(Forge::Gitlab),
        _ => None,
    }
}

/// What stands in the way of a command: shown as a blank, but none that the runner cuts
/// off, or leaves out of account, before it looks at a line.
const FILLER: &str = "\u{2800}";

/// The text with no line in it that GitHub would obey.
pub fn inert(text: &str) -> String {
    let mut inert = String::with_capacity(text.len());
    // The runner ends lines at carriage returns as well.
    for line in text.split_inclusive(['\n', '\r']) {
        if line.trim_start().starts_with("::") {
            inert.push_str(FILLER);
        }
        inert.push_str(&line.replace("##[", &format!("##{FILLER}[")));
    }
    inert
}

/// The same for lines of JSON, which stay what they are: they begin with a brace, and
/// have this in no place but a string.
pub fn inert_json(text: &str) -> String {
    text.replace("##[", "#\\u0023[")
}

/// Something that is shown beside the log as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Nothing went wrong, but somebody should know.
    pub mild: bool,
    /// What it is about.
    pub title: String,
    /// What happened.
    pub text: String,
}

impl Alarm {
    /// A warning.
    pub fn warning(text: &str) -> Self {
        Self { mild: true, title: "deployvm".to_owned(), text: harmless(text) }
    }

    /// A failure of the whole command.
    pub fn failure(failure: &Failure) -> Self {
        let parts = [Some(failure.message.as_str()), failure.state(), failure.help.as_deref()];
        let title = format!("deployvm (exit {})", failure.aftermath.code());
        Self { mild: false, title, text: lines(parts.into_iter().flatten().map(ToOwned::to_owned)) }
    }

    /// What went wrong with VMs.
    pub fn outcomes(outcomes: &[Outcome]) -> Vec<Self> {
        let bad = outcomes.iter().filter(|outcome| outcome.exit != 0);
        bad.map(|outcome| {
            let failed = outcome.checks.iter().filter(|c| !c.ok && !summary::is_excused(c));
            let checks = failed.map(|check| format!("check {}", summary::failed_check(check)));
            let before = outcome.reason.iter().chain(&outcome.detail).cloned();
            let after = summary::state(outcome).map(|state| format!("state: {state}"));
            Self {
                mild: outcome.result == Word::Skipped,
                title: format!("{} {}", outcome.name, outcome.result),
                text: lines(before.chain(checks).chain(after).chain(outcome.todo.iter().cloned())),
            }
        })
        .collect()
    }

    /// VMs of a plan that cannot be built.
    pub fn broken(plan: &Plan) -> Vec<Self> {
        let one = |vm: &crate::model::name::VmName, error: &str| Self {
            mild: false,
            title: format!("{vm} cannot be built"),
            text: crate::error::last_lines(error, 12).join("\n"),
        };
        plan.broken.iter().map(|(vm, error)| one(vm, error)).collect()
    }

    /// As GitHub takes it.
    pub fn command(&self) -> String {
        let level = if self.mild { "warning" } else { "error" };
        format!("::{level} title={}::{}", property(&self.title), data(&self.text))
    }
}

fn lines(parts: impl Iterator<Item = String>) -> String {
    let clean = |part: String| part.lines().map(harmless).collect::<Vec<_>>().join("\n");
    parts.map(clean).collect::<Vec<_>>().join("\n")
}

/// A text behind the second `::`.
fn data(text: &str) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    // The older form is looked for in every line, this one too.
    inert(&text)
}

/// A text in front of it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The groups of a log: one after the other, none in another.
#[derive(Debug, Default)]
pub(super) struct Groups {
    open: Option<String>,
    count: u32,
}

/// Phases of which the log is seldom read. While VMs are switched, everything is shown.
const FOLDED: [&str; 5] = ["evaluate", "build", "send", "build-there", "copy"];
/// Phases that say one line each, wherever it is.
const BRIEF: [&str; 2] = ["connect", "look"];

impl Groups {
    /// What to print when a phase begins: the end of a group, and the beginning of another
    /// that has the line as its title. `None` for the title when the line is still to be said.
    pub fn phase(&mut self, forge: Forge, phase: &str, line: &str, seconds: u64) -> (Option<String>, bool) {
        if BRIEF.contains(&phase) {
            return (None, false);
        }
        let end = self.end(forge, seconds);
        if !FOLDED.contains(&phase) {
            return (end, false);
        }
        self.count += 1;
        let name = format!("deployvm_{}_{}", phase.replace('-', "_"), self.count);
        let begin = match forge {
            Forge::Github => format!("::group::{}\n", data(line)),
            Forge::Gitlab => format!("section_start:{seconds}:{name}[collapsed=true]\r\u{1b}[0K{line}\n"),
        };
        self.open = Some(name);
        (Some(end.unwrap_or_default() + &begin), true)
    }

    /// What ends the group that is open.
    pub fn end(&mut self, forge: Forge, seconds: u64) -> Option<String> {
        let name = self.open.take()?;
        Some(match forge {
            Forge::Github => "::endgroup::\n".to_owned(),
            Forge::Gitlab => format!("section_end:{seconds}:{name}\r\u{1b}[0K\n"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Aftermath;
    use proptest::prelude::*;

    #[test]
    fn foreign_lines_are_no_commands() {
        for line in ["::error::x", "  ::set-output name=a::b", "\t\u{a0}\u{3000}::x", "a\r::x", "a\n ::x"] {
            assert!(!obeyed(&inert(line)), "{line:?}");
        }
        for line in ["##[error]x", "a ##[add-matcher]b", "###[x"] {
            assert!(!obeyed(&inert(line)), "{line:?}");
        }
        assert_eq!(inert("a::b\n│ ::x\n# [x\n"), "a::b\n│ ::x\n# [x\n");
        let json = r####"{"message":"###[x ##[y"}"####;
        assert!(!obeyed(&inert_json(json)));
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&inert_json(json)), read(json));
    }

    /// As the runner looks at what it reads (ActionCommand.cs).
    fn obeyed(text: &str) -> bool {
        text.split(['\n', '\r']).any(|line| line.trim_start().starts_with("::") || line.contains("##["))
    }

    proptest! {
        #[test]
        fn whatever_is_printed(text in "[:#\\[ \t\r\n\u{a0}\u{2028}x]{0,30}") {
            prop_assert!(!obeyed(&inert(&text)));
        }

        #[test]
        fn an_annotation_is_one_command(title in "(?s:.){0,20}|[:#,%\n\r\\[]{0,9}", text in "[:#,%\n\r\\[x]{0,20}") {
            let command = Alarm { mild: false, title, text }.command();
            prop_assert!(command.starts_with("::error title="));
            prop_assert!(!command.contains(['\n', '\r']) && !command.contains("##["));
            let properties = command.trim_start_matches("::error title=");
            let (title, _) = properties.split_once("::").unwrap();
            prop_assert!(!title.contains([':', ',']));
        }
    }

    #[test]
    fn annotations() {
        let failure = Failure::new(Aftermath::NotBuilt, "100% of\nit: a, b").help("try again");
        let shown = [Alarm::failure(&failure), Alarm::warning("the clock: 5 s behind")];
        insta::assert_snapshot!(shown.map(|a| a.command()).join("\n"), @"
        ::error title=deployvm (exit 10)::100%25 of%0Ait: a, b%0Anothing was changed on the hypervisor%0Atry again
        ::warning title=deployvm::the clock: 5 s behind
        ");
    }

    #[test]
    fn one_group_at_a_time() {
        let shown = |forge| {
            let mut groups = Groups::default();
            let mut text = String::new();
            for (phase, line) in [
                ("evaluate", "evaluating"),
                ("connect", "connecting"),
                ("build", "building"),
                ("switch", "switching"),
            ] {
                let (said, titled) = groups.phase(forge, phase, line, 7);
                text += &said.unwrap_or_default();
                if !titled {
                    text += &format!("{line}\n");
                }
            }
            assert_eq!(groups.end(forge, 7), None);
            text.replace('\r', "<CR>").replace('\u{1b}', "<ESC>")
        };
        insta::assert_snapshot!(shown(Forge::Github), @"
        ::group::evaluating
        connecting
        ::endgroup::
        ::group::building
        ::endgroup::
        switching
        ");
        insta::assert_snapshot!(shown(Forge::Gitlab), @"
        section_start:7:deployvm_evaluate_1[collapsed=true]<CR><ESC>[0Kevaluating
        connecting
        section_end:7:deployvm_evaluate_1<CR><ESC>[0K
        section_start:7:deployvm_build_2[collapsed=true]<CR><ESC>[0Kbuilding
        section_end:7:deployvm_build_2<CR><ESC>[0K
        switching
        ");
    }
}
