//! The lines of `--log-format internal-json`: `@nix {…}` on stderr. The numbers are
//! those of Nix's `logging.hh`; only what is used here has a name.

use serde_json::Value;

use crate::error::clean_line;

/// A path is being copied from one store to another; fields: path, from, to.
pub const COPY_PATH: u64 = 100;
/// The activity around all copies of one command.
pub const COPY_PATHS: u64 = 103;
/// One build; fields: derivation, machine, …
pub const BUILD: u64 = 105;
/// Result: a line of a build log.
pub const LOG_LINE: u64 = 101;
/// Result: progress; fields: done, expected, running, failed.
pub const PROGRESS: u64 = 105;
/// Result: so much is expected; fields: activity type, amount.
pub const SET_EXPECTED: u64 = 106;

/// Lines of a message that are read.
const MOST_LINES: usize = 1000;

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// An activity begins.
    Start {
        /// Its id.
        id: u64,
        /// Its type.
        kind: u64,
        /// Its text for people, often empty.
        text: String,
        /// Its fields.
        fields: Vec<Value>,
    },
    /// An activity ended.
    Stop {
        /// Its id.
        id: u64,
    },
    /// An activity says something.
    Result {
        /// The activity's id.
        id: u64,
        /// The result's type.
        kind: u64,
        /// Its fields.
        fields: Vec<Value>,
    },
    /// A message for people.
    Message {
        /// 0 is an error, 1 a warning, 3 information.
        level: u64,
        /// Without colours; may have several lines.
        text: String,
    },
}

/// One line of stderr; `None` when it is not such a line.
pub fn parse(line: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(line.strip_prefix("@nix ")?).ok()?;
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fields = || value.get("fields").and_then(Value::as_array).cloned().unwrap_or_default();
    match value.get("action")?.as_str()? {
        "start" => Some(Line::Start {
            id: number("id")?,
            kind: number("type")?,
            text: text("text"),
            fields: fields(),
        }),
        "stop" => Some(Line::Stop { id: number("id")? }),
        "result" => Some(Line::Result { id: number("id")?, kind: number("type")?, fields: fields() }),
        "msg" => {
            let clean: Vec<String> = text("msg").lines().map(clean_line).take(MOST_LINES).collect();
            Some(Line::Message { level: number("level")?, text: clean.join("\n") })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_each_kind_of_line() {
        let start = r#"@nix {"action":"start","fields":["/nix/store/90v0aj5qgirw7irmlampqa6b8f2sr16y-a.drv","",1,1],"id":5,"level":3,"parent":0,"text":"building","type":105}"#;
        assert!(matches!(parse(start), Some(Line::Start { id: 5, kind: BUILD, .. })));
        let stop = r#"@nix {"action":"stop","id":5}"#;
        assert_eq!(parse(stop), Some(Line::Stop { id: 5 }));
        let message = r#"@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m no\nway"}"#;
        assert_eq!(parse(message), Some(Line::Message { level: 0, text: "error: no\nway".into() }));
        assert_eq!(parse("building '/nix/store/x'..."), None);
        assert_eq!(parse("@nix {"), None);
    }

    proptest! {
        #[test]
        fn never_panics(text in "(@nix )?(\\{|\\}|\"|action|start|result|id|type|[0-9]|:|,|(?s:.)){0,60}") {
            let _ = parse(&text);
        }
    }
}
