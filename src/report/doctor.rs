//! The text of `doctor`: each finding with what shows it and what mends it. A command is
//! on a line of its own and never broken, so that it can be copied.

use super::page::{Page, Tone, columns, harmless};
use crate::model::finding::{Finding, Mend, Severity};

/// Columns of the word that says how bad it is, and of what stands below it.
const INDENT: usize = 9;

/// The whole text, without a newline at its end.
pub fn text(findings: &[Finding], looked: &str, page: Page) -> String {
    if findings.is_empty() {
        return page.wrap("", &format!("nothing to mend on {}", harmless(looked)), 0);
    }
    let mut blocks: Vec<String> = findings.iter().map(|finding| block(finding, page)).collect();
    blocks.push(count(findings));
    blocks.join("\n\n")
}

fn block(finding: &Finding, page: Page) -> String {
    let tone = match finding.severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warn,
        Severity::Note => Tone::Dim,
    };
    let (word, place) = (format!("{:<INDENT$}", finding.severity), format!("{}:", finding.place));
    // Painted last, or the colours would count as words.
    let first = page.wrap(&format!("{word}{place} "), &harmless(&finding.what), INDENT);
    let rest = first.get(word.len() + place.len()..).unwrap_or_default();
    let mut lines = vec![format!("{}{}{rest}", page.paint(tone, &word), page.paint(Tone::Strong, &place))];
    let indent = " ".repeat(INDENT);
    let evidence = page.wrap(&indent, &harmless(&finding.evidence), INDENT);
    lines.push(page.paint_lines(Tone::Dim, &evidence));
    match &finding.mend {
        Mend::Type(command) => lines.push(format!("{indent}mend: {}", harmless(command))),
        Mend::Do(words) => {
            let below = INDENT + columns("mend: ");
            for (at, line) in words.lines().enumerate() {
                let first = if at == 0 { format!("{indent}mend: ") } else { " ".repeat(below) };
                lines.push(page.wrap(&first, &harmless(line), below));
            }
        }
    }
    lines.push(format!("{indent}{}", page.paint(Tone::Dim, &format!("[{}]", finding.id))));
    lines.join("\n")
}

fn count(findings: &[Finding]) -> String {
    let of = |severity: Severity, one: &str| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {one}s")),
        }
    };
    let all = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    all.into_iter().filter_map(|(severity, one)| of(severity, one)).collect::<Vec<_>>().join(", ")
}
