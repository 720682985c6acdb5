//! Progress where nobody watches: one line per event with the time of day in UTC,
//! and no control characters at all.

use super::page::harmless;
use super::quantity;
use super::wording;
use crate::error::clean_line;
use crate::model::event::Event;

/// What has been said, as far as it decides what is said next.
#[derive(Debug, Default)]
pub(super) struct Plain {
    verbose: u8,
    /// Tenths of the copying that have been spoken of.
    tenths: Option<u64>,
}

impl Plain {
    /// Build logs are passed on only to those who asked for more.
    pub fn new(verbose: u8) -> Self {
        Self { verbose, tenths: None }
    }

    /// The line for this event, without the time; `None` when there is nothing to say.
    pub fn text(&mut self, event: &Event) -> Option<String> {
        Some(match event {
            Event::Phase { name, total } => {
                self.tenths = None;
                let count = total.map(|count| format!(" {}", wording::counted(name, count)));
                format!("{}{}", wording::doing(name), count.unwrap_or_default())
            }
            // The line with which it began may be far above.
            Event::PhaseEnded { name, ok: false } => format!("{} failed", wording::doing(name)),
            Event::PhaseEnded { .. } => return None,
            Event::Evaluating { .. } if self.verbose == 0 => return None,
            Event::Evaluating { vm } => format!("{vm}: evaluating"),
            Event::Evaluated { vm, ok: false, .. } => format!("{vm}: evaluation failed"),
            Event::Evaluated { vm, cached: true, .. } => format!("{vm}: evaluated, from the cache"),
            Event::Evaluated { vm, .. } => format!("{vm}: evaluated"),
            Event::Building { derivation } => format!("building {}", clean_line(derivation)),
            Event::BuildLog { .. } if self.verbose == 0 => return None,
            Event::BuildLog { line } => format!("build: {}", clean_line(line)),
            Event::Copying { done, total, bytes, total_bytes } => {
                return self.copying((*done, *total), (*bytes, *total_bytes));
            }
            Event::Step { vm, step, detail } => {
                let detail = detail.as_deref().map(|d| format!(" ({})", clean_line(d))).unwrap_or_default();
                format!("{vm}: {}{detail}", clean_line(step))
            }
            Event::Checked { vm, check } => format!("{vm}: {}", wording::check(check)),
            Event::Done { outcome } => format!("{}: {}", outcome.name, wording::outcome(outcome)),
            Event::Warning { message } => format!("warning: {}", harmless(message)),
        })
    }

    /// One line for every tenth, so that a log stays short.
    fn copying(&mut self, paths: (u64, u64), bytes: (Option<u64>, Option<u64>)) -> Option<String> {
        let (done, total) = match bytes {
            (Some(done), Some(total)) if total > 0 => (done, total),
            _ => paths,
        };
        let tenths = (u128::from(done) * 10).checked_div(u128::from(total)).unwrap_or(10).min(10);
        let tenths = u64::try_from(tenths).unwrap_or(10);
        if self.tenths.is_some_and(|said| said >= tenths) {
            return None;
        }
        self.tenths = Some(tenths);
        let sizes = match bytes {
            (Some(done), Some(total)) => {
                format!(", {} of {}", quantity::bytes(done), quantity::bytes(total))
            }
            (Some(done), None) => format!(", {}", quantity::bytes(done)),
            _ => String::new(),
        };
        Some(format!("copying {}% ({} of {} paths{sizes})", tenths * 10, paths.0, paths.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copying_speaks_once_per_tenth() {
        let mut plain = Plain::new(0);
        let lines: Vec<String> = (0..=1000_u64)
            .filter_map(|done| {
                let event = Event::Copying { done, total: 1000, bytes: None, total_bytes: None };
                plain.text(&event)
            })
            .collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[3], "copying 30% (300 of 1000 paths)");
        let nothing =
            Event::Copying { done: 0, total: 0, bytes: Some(u64::MAX), total_bytes: Some(u64::MAX) };
        assert_eq!(plain.text(&nothing), None);
    }

    #[test]
    fn no_control_character_comes_through() {
        let mut plain = Plain::new(2);
        let evil = "\u{1b}[2J\u{7}x\r\n\u{9b}y".to_owned();
        for event in [
            Event::BuildLog { line: evil.clone() },
            Event::Building { derivation: evil.clone() },
            Event::Warning { message: evil.clone() },
            Event::Step { vm: "vm1".parse().unwrap(), step: evil.clone(), detail: Some(evil) },
        ] {
            let text = plain.text(&event).unwrap();
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}
