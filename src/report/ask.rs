//! The one question that deployvm asks.

use tokio::sync::oneshot;

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Yes,
    /// No, or anything that is not clearly yes, or the end of the input.
    Declined,
    /// Nobody could be asked: there is no terminal.
    Unanswered,
}

impl Answer {
    /// Reads what was typed; nothing at all means no.
    pub fn read(typed: &str) -> Self {
        match typed.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Self::Yes,
            _ => Self::Declined,
        }
    }
}

/// Waits for a line on stdin. A thread of its own reads it: unlike the runtime's
/// blocking pool it holds nobody up who wants to end while it waits.
pub(super) fn listen() -> oneshot::Receiver<Answer> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut typed = String::new();
        let read = std::io::stdin().read_line(&mut typed);
        // Nobody waits any more: the question was withdrawn.
        let _ = sender.send(read.map_or(Answer::Declined, |_| Answer::read(&typed)));
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for yes in ["y\n", "Y", "yes\r\n", " YES "] {
            assert_eq!(Answer::read(yes), Answer::Yes);
        }
        for no in ["", "\n", "n", "no", "ye", "yes!", "1"] {
            assert_eq!(Answer::read(no), Answer::Declined);
        }
    }
}
