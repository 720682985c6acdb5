//! Lines of journals: when, which microVM in a colour of its own, and what was said. Nothing
//! is cut: who looks for something must be able to find it.

use serde::Serialize;

use super::json;
use super::page::{Page, Tone, columns, harmless};
use crate::model::log::LogLine;
use crate::model::name::VmName;

/// What stands in front of each line.
#[derive(Debug, Clone, Default)]
pub struct Prefixes {
    vms: Vec<VmName>,
    width: usize,
}

impl Prefixes {
    /// For lines of these microVMs.
    pub fn new(vms: &[VmName]) -> Self {
        let width = vms.iter().map(|vm| columns(vm.as_str())).max().unwrap_or_default();
        Self { vms: vms.to_vec(), width }
    }

    /// The text of a line, without a newline at its end; each line of a message has its own
    /// prefix.
    pub fn text(&self, line: &LogLine, page: Page) -> String {
        let number = self.vms.iter().position(|vm| *vm == line.vm).unwrap_or_default();
        let name = page.tint(number, line.vm.as_str());
        let pad = " ".repeat(self.width.saturating_sub(columns(line.vm.as_str())));
        let time = page.paint(Tone::Dim, &second(&line.time));
        let speaker = line.speaker.as_ref().map(|who| page.paint(Tone::Dim, &format!("{who}: ")));
        let speaker = speaker.unwrap_or_default();
        let lines = lines(&line.message).map(|text| {
            let whole = format!("{time} {name}{pad}  {speaker}{text}");
            whole.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// What was said alone, as on a console.
pub fn console(line: &LogLine) -> String {
    lines(&line.message).collect::<Vec<_>>().join("\n")
}

/// The object of a line.
pub fn object(line: &LogLine) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        vm: &'a str,
        time: &'a str,
        unit: &'a str,
        speaker: Option<&'a str>,
        message: String,
    }
    let message = lines(&line.message).collect::<Vec<_>>().join("\n");
    let (vm, speaker) = (line.vm.as_str(), line.speaker.as_deref());
    json::line(Body { vm, time: &line.time, unit: &line.unit, speaker, message })
}

/// The lines of a message, none of which can drive a terminal; at least one.
fn lines(message: &str) -> impl Iterator<Item = String> {
    message.trim_end_matches(['\n', '\r']).split('\n').map(harmless)
}

/// `2026-11-21 16:57:25` of `2026-11-21T16:57:25.619607Z`.
fn second(time: &str) -> String {
    time.split('.').next().unwrap_or_default().replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(vm: &str, speaker: Option<&str>, message: &str) -> LogLine {
        LogLine {
            vm: vm.parse().unwrap(),
            unit: format!("microvm@{vm}.service"),
            speaker: speaker.map(str::to_owned),
            time: "2026-11-21T16:57:25.619607Z".to_owned(),
            message: message.to_owned(),
        }
    }

    fn lines() -> [LogLine; 4] {
        [
            said("vm1", Some("systemd"), "Started microVM vm1."),
            said("database", None, "\u{1b}[31mred\u{1b}[0m \u{7}\u{202e}text\r"),
            said("vm1", Some("virtiofsd"), "one\ntwo\n"),
            said("vm1", None, ""),
        ]
    }

    #[test]
    fn lines_of_several() {
        let prefixes = Prefixes::new(&["database", "vm1"].map(|vm| vm.parse().unwrap()));
        let text = |page| lines().map(|line| prefixes.text(&line, page)).join("\n");
        insta::assert_snapshot!(text(Page::PLAIN), @r"
        2026-11-21 16:57:25 vm1       systemd: Started microVM vm1.
        2026-11-21 16:57:25 database  red text
        2026-11-21 16:57:25 vm1       virtiofsd: one
        2026-11-21 16:57:25 vm1       virtiofsd: two
        2026-11-21 16:57:25 vm1
        ");
        let coloured = text(Page { width: Some(40), colour: true }).replace('\u{1b}', "^");
        insta::assert_snapshot!(coloured, @r"
        ^[2m2026-11-21 16:57:25^[0m ^[33mvm1^[0m       ^[2msystemd: ^[0mStarted microVM vm1.
        ^[2m2026-11-21 16:57:25^[0m ^[36mdatabase^[0m  red text
        ^[2m2026-11-21 16:57:25^[0m ^[33mvm1^[0m       ^[2mvirtiofsd: ^[0mone
        ^[2m2026-11-21 16:57:25^[0m ^[33mvm1^[0m       ^[2mvirtiofsd: ^[0mtwo
        ^[2m2026-11-21 16:57:25^[0m ^[33mvm1^[0m
        ");
    }

    #[test]
    fn a_console_is_what_was_said_alone() {
        insta::assert_snapshot!(lines().each_ref().map(console).join("\n"), @r"
        Started microVM vm1.
        red text
        one
        two
        ");
    }

    #[test]
    fn objects() {
        insta::assert_snapshot!(lines().each_ref().map(object).join("\n"), @r#"
        {"schema":1,"vm":"vm1","time":"2026-11-21T16:57:25.619607Z","unit":"microvm@vm1.service","speaker":"systemd","message":"Started microVM vm1."}
        {"schema":1,"vm":"database","time":"2026-11-21T16:57:25.619607Z","unit":"microvm@database.service","speaker":null,"message":"red text"}
        {"schema":1,"vm":"vm1","time":"2026-11-21T16:57:25.619607Z","unit":"microvm@vm1.service","speaker":"virtiofsd","message":"one\ntwo"}
        {"schema":1,"vm":"vm1","time":"2026-11-21T16:57:25.619607Z","unit":"microvm@vm1.service","speaker":null,"message":""}
        "#);
    }
}
