//! `deployvm man`: manual pages, made of the same source as `--help`.

use clap::Command;

use super::crash::print;
use crate::error::{Failure, Result};

/// Print a manual page
///
/// To read one at once: deployvm man push | man -l -
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The command that it is about, such as push or hook install [default: deployvm itself]
    #[arg(value_name = "COMMAND", conflicts_with = "list")]
    pub command: Vec<String>,

    /// Print the commands that have a page instead, one a line
    #[arg(long)]
    pub list: bool,
}

/// Prints it.
///
/// # Errors
/// For a command that there is not (exit 2), or when not all could be written (1).
pub fn run(args: &Args, mut deployvm: Command) -> Result<u8> {
    // Gives every command its whole name.
    deployvm.build();
    let text = if args.list { list(&deployvm).into_bytes() } else { page(find(&deployvm, &args.command)?)? };
    print(&text)
}

fn find<'a>(deployvm: &'a Command, words: &[String]) -> Result<&'a Command> {
    let mut command = deployvm;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| {
            Failure::usage(format!("deployvm has no command {:?}", words.join(" ")))
                .help("deployvm man --list prints all that have a page")
        })?;
    }
    Ok(command)
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut text = Vec::new();
    let source = concat!("deployvm ", env!("CARGO_PKG_VERSION"));
    let page =
        clap_mangen::Man::new(command.clone()).title(name).section("1").source(source).manual("deployvm");
    page.render(&mut text).map_err(|error| Failure::bug(format!("cannot write a manual page: {error}")))?;
    Ok(text)
}

/// Every visible command below deployvm, as it is typed.
fn list(deployvm: &Command) -> String {
    let mut lines = String::new();
    let mut below = vec![(String::new(), deployvm)];
    while let Some((words, command)) = below.pop() {
        if !words.is_empty() {
            lines.push_str(words.trim_end());
            lines.push('\n');
        }
        let visible: Vec<&Command> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
        let next = visible.into_iter().rev().map(|c| (format!("{words}{} ", c.get_name()), c));
        below.extend(next);
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::command::Cli;

    #[test]
    fn every_command_has_a_page_with_all_its_options() {
        let mut deployvm = Cli::command();
        deployvm.build();
        let names = list(&deployvm);
        assert!(names.lines().any(|line| line == "hook install"), "{names}");
        for line in names.lines() {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let command = find(&deployvm, &words).unwrap();
            let text = String::from_utf8(page(command).unwrap()).unwrap();
            let title = format!(".TH deployvm-{} 1", words.join("-"));
            assert!(text.contains(&title), "{text}");
            let long = command.get_arguments().filter(|a| !a.is_hide_set()).filter_map(|a| a.get_long());
            for option in long {
                let option = format!("\\-\\-{}", option.replace('-', "\\-"));
                assert!(text.contains(&option), "{line}: {option}");
            }
        }
        assert_eq!(find(&deployvm, &["nothing".to_owned()]).unwrap_err().aftermath.code(), 2);
    }
}
