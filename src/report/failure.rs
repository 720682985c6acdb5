//! A failure as its reader sees it: what happened, the last lines of the failing
//! program, what state things are in, and what to type next. miette draws it;
//! there is never a backtrace.

use std::fmt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, ThemeCharacters, ThemeStyles};

use super::page::{Page, harmless};
use crate::error::{Failure, clean_line};

/// Columns where the page has none of its own, and the fewest that are used.
const USUAL_WIDTH: usize = 80;
const FEWEST: usize = 60;

/// The text, without a newline at its end.
pub fn text(failure: &Failure, page: Page) -> String {
    let width = page.width.unwrap_or(USUAL_WIDTH).max(FEWEST);
    let inner = Page { width: Some(width - 8), colour: false };
    let shown = Shown {
        message: paragraphs(&failure.message, inner),
        output: (!failure.output.is_empty()).then(|| Output(clean(&failure.output))),
    };
    let styles = if page.colour { ThemeStyles::ansi() } else { ThemeStyles::none() };
    let theme = GraphicalTheme { characters: ThemeCharacters::unicode(), styles };
    // Lines are wrapped above: miette would break commands at their hyphens.
    let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(false).with_links(false);
    let mut text = String::new();
    let text = match handler.render_report(&mut text, &shown) {
        Ok(()) => text.trim_end(),
        Err(fmt::Error) => &shown.message,
    };
    let below = [("state: ", failure.state()), ("help: ", failure.help.as_deref())];
    let below = below.into_iter().filter_map(|(label, text)| Some(labelled(label, text?, inner, page)));
    std::iter::once(text.to_owned()).chain(below).collect::<Vec<_>>().join("\n")
}

/// A label as miette writes its own, and what belongs to it.
fn labelled(label: &str, text: &str, inner: Page, page: Page) -> String {
    let style = if page.colour { ThemeStyles::ansi() } else { ThemeStyles::none() }.help;
    let gap = format!("\n{}", " ".repeat(2 + label.len()));
    format!("  {}{}", style.style(label), paragraphs(text, inner).replace('\n', &gap))
}

/// Every line of the text wrapped by itself, but for one that is indented: that is to be
/// copied as it is. Without control characters.
fn paragraphs(text: &str, page: Page) -> String {
    let lines = text.lines().map(|line| match line.starts_with("    ") {
        true => harmless(line),
        false => page.wrap("", &harmless(line), 0),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn clean(lines: &[String]) -> String {
    lines.iter().map(|line| clean_line(line)).collect::<Vec<_>>().join("\n")
}

/// The failure, with its output as the cause below the message.
#[derive(Debug)]
struct Shown {
    message: String,
    output: Option<Output>,
}

/// The last lines of the failing program.
#[derive(Debug)]
struct Output(String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Output {}

impl std::error::Error for Shown {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.output.as_ref().map(|output| output as &dyn std::error::Error)
    }
}

impl Diagnostic for Shown {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Aftermath;

    #[test]
    fn what_is_to_be_copied_is_one_line() {
        let rule = format!("deploy ALL=(root) NOPASSWD: {}", "word ".repeat(30));
        let failure = Failure::usage("x").help(format!("add this:\n    {rule}\nor not"));
        assert!(text(&failure, Page::PLAIN).contains(rule.trim_end()));
    }

    #[test]
    fn a_command_is_never_broken() {
        let failure = Failure::usage("x").help(
            "a flake sees only what git tracks: git -C /home/me/infrastructure/flakes add vms/extra.nix\n\
             to start it: deployvm start vm1; what it said: deployvm logs vm1 --boot 1 --follow --lines 20; or not",
        );
        insta::assert_snapshot!(text(&failure, Page { width: Some(80), colour: false }), @r"
        × x
        help: a flake sees only what git tracks:
              git -C /home/me/infrastructure/flakes add vms/extra.nix
              to start it: deployvm start vm1; what it said:
              deployvm logs vm1 --boot 1 --follow --lines 20; or not
        ");
    }

    #[test]
    fn says_what_where_state_and_next() {
        let failure = Failure::new(Aftermath::NotBuilt, "vm2 cannot be built on root@hv.example")
            .output("error: builder for '/nix/store/0123-x.drv' failed with exit code 7;\n\u{1b}[31m> boom\u{1b}[0m")
            .help("read the whole log with `nix log /nix/store/0123456789abcdfghijklmnpqrsvwxyz-x.drv`, then try again");
        insta::assert_snapshot!(text(&failure, Page { width: Some(60), colour: false }), @"
        × vm2 cannot be built on root@hv.example
        ╰─▶ error: builder for '/nix/store/0123-x.drv' failed with exit code 7;
            > boom
        state: nothing was changed on the hypervisor
        help: read the whole log with
              `nix log /nix/store/0123456789abcdfghijklmnpqrsvwxyz-x.drv`,
              then try again
        ");
        insta::assert_snapshot!(text(&Failure::usage("no such VM: vm9"), Page::PLAIN), @"  × no such VM: vm9");
    }
}
