//! What `init` wrote, and what to do next.

use super::page::Page;
use crate::model::template::Template;

/// The whole text, without a newline at its end.
pub fn text(template: &Template, page: Page) -> String {
    let mut lines: Vec<String> = template.files.iter().map(|(path, _)| format!("wrote {path}")).collect();
    lines.push(String::new());
    lines.push("next:".to_owned());
    lines.extend((1..).zip(template.next).map(|(number, step)| page.wrap(&format!("  {number}. "), step, 5)));
    lines.join("\n")
}
