//! What a remote script answers: NUL-ended fields between two marks, so that whatever a
//! login shell prints before and a cut anywhere are noticed. Everything in it is foreign
//! text. An answer that is not whole is never taken for one; here is why it is not.

use super::process::Stopped;
use super::script::{MOST_ANSWER, Script};
use crate::error::{Aftermath, Failure, clean_line, last_lines};
use crate::model::argv::Output;

const BEGIN: &[u8] = b"\0deployvm-begin\0";
const END: &[u8] = b"deployvm-end\0";
/// Lines that are shown of what was no answer.
const MOST_SHOWN: usize = 5;

/// What a script answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The exit code that it states itself.
    pub code: u32,
    /// Its fields, lossily decoded.
    pub fields: Vec<String>,
    /// The lines that came before the fields, up to a line with a dot.
    pub lines: Vec<String>,
    /// The last line that a login shell printed before it began; empty when it was silent.
    pub noise: String,
}

impl Reply {
    /// Takes an answer apart; `None` when it is not whole.
    pub fn parse(stdout: &[u8]) -> Option<Self> {
        Self::take_apart(stdout, false)
    }

    /// The same for a script that first says lines, and then a dot alone on one.
    pub fn parse_followed(stdout: &[u8]) -> Option<Self> {
        Self::take_apart(stdout, true)
    }

    fn take_apart(stdout: &[u8], followed: bool) -> Option<Self> {
        let before = find(stdout, BEGIN)?;
        let body = stdout.get(before + BEGIN.len()..)?;
        let noise = last_lines(&text(stdout.get(..before)?), 1).pop().unwrap_or_default();
        let end = rfind(body, END)?;
        let code = body.get(end + END.len()..)?;
        // Ended by a NUL itself, or the rest of it was cut.
        let code = code.get(..code.iter().position(|b| *b == 0)?)?;
        let code = std::str::from_utf8(code).ok()?.parse().ok()?;
        let mut body = body.get(..end)?;
        let mut lines = Vec::new();
        if let Some(dot) = find(body, b"\n.\n").filter(|_| followed) {
            lines = text(body.get(..dot)?).lines().map(str::to_owned).collect();
            body = body.get(dot + 3..)?;
        } else if let Some(rest) = body.strip_prefix(b".\n").filter(|_| followed) {
            body = rest;
        }
        let mut fields: Vec<String> = body.split(|b| *b == 0).map(text).collect();
        // Every field is ended, not separated, by a NUL.
        fields.pop();
        Some(Self { code, fields, lines, noise })
    }
}

/// Why there is no whole answer to a script. `by_hand` is what a user types to have
/// nothing done there.
pub(super) fn not_whole(script: Script, output: &Output, by_hand: &str) -> Failure {
    let (said, errors) = (output.text(), output.errors());
    let failure = |what: &str| {
        let text = if errors.trim().is_empty() { &said } else { &errors };
        Failure::new(Aftermath::Unreachable, what.to_owned()).output(&last_lines(text, MOST_SHOWN).join("\n"))
    };
    let torn = format!("the hypervisor gave no whole answer to {}", script.name);
    if find(&output.stdout, BEGIN).is_some() || output.code == Some(255) || output.code.is_none() {
        return failure(&torn)
            .help("the connection may have been lost: try again, and see what `deployvm status` says");
    }
    if errors.contains("not found") || said.contains("not found") {
        return failure(&torn)
            .help("the hypervisor needs sh, xargs and coreutils on the PATH of a login over ssh");
    }
    failure(&format!("the hypervisor's login did not run {}", script.name)).help(format!(
        "deployvm needs a login that runs commands: this must print nothing and succeed: {by_hand}"
    ))
}

/// The same where it went on beyond all limits.
pub(super) fn stopped(script: Script, why: Stopped, by_hand: &str) -> Failure {
    let help = format!(
        "see what there is slow or prints so much: this must print nothing and end at once: {by_hand}"
    );
    match why {
        Stopped::Failed(failure) => failure,
        Stopped::TooLate => Failure::new(
            Aftermath::Unreachable,
            format!("the hypervisor did not answer {} in time", script.name),
        )
        .help(help),
        Stopped::TooLong(began) => {
            let began: Vec<String> = text(&began).lines().map(clean_line).take(MOST_SHOWN).collect();
            let most = MOST_ANSWER >> 20;
            Failure::new(
                Aftermath::Unreachable,
                format!("the hypervisor's answer to {} is longer than {most} MiB", script.name),
            )
            .output(&began.join("\n"))
            .help(help)
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn rfind(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::script::OBSERVE;
    use proptest::prelude::*;

    #[test]
    fn a_banner_before_and_a_cut_after_are_noticed() {
        let whole = b"Welcome!\n\n\0deployvm-begin\0a\0b c\0deployvm-end\x0075\0";
        let reply = Reply::parse(whole).unwrap();
        assert_eq!((reply.code, reply.fields), (75, vec!["a".to_owned(), "b c".to_owned()]));
        assert_eq!(reply.noise, "Welcome!");
        for cut in 0..whole.len() {
            assert_eq!(Reply::parse(&whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Reply::parse(b"bash: xargs: command not found"), None);
        assert_eq!(Reply::parse(b"\n\0deployvm-begin\0deployvm-end\x000\0").unwrap().noise, "");
    }

    #[test]
    fn lines_come_before_fields() {
        let reply =
            Reply::parse_followed(b"\0deployvm-begin\0step locked \nstep x\n.\nout\0deployvm-end\x0066\0")
                .unwrap();
        assert_eq!(reply.lines, ["step locked ", "step x"]);
        assert_eq!((reply.code, reply.fields), (66, vec!["out".to_owned()]));
    }

    #[test]
    fn says_what_to_look_for() {
        let said = |code: i32, stdout: &str, stderr: &str| {
            let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
            let failure = not_whole(OBSERVE, &Output { code: Some(code), stdout, stderr }, "ssh hv true");
            assert_eq!(failure.aftermath.code(), 11);
            format!("{} | {} | {}", failure.message, failure.output.join("/"), failure.help.unwrap())
        };
        let all = [
            said(1, "This account is currently not available.\n", ""),
            said(127, "", "bash: xargs: command not found"),
            said(255, "", "Connection to hv closed by remote host."),
            said(0, "\n\0deployvm-begin\0host\0", ""),
            said(0, "\u{1b}[2Jgarbage\n", ""),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        the hypervisor's login did not run observe | This account is currently not available. | deployvm needs a login that runs commands: this must print nothing and succeed: ssh hv true
        the hypervisor gave no whole answer to observe | bash: xargs: command not found | the hypervisor needs sh, xargs and coreutils on the PATH of a login over ssh
        the hypervisor gave no whole answer to observe | Connection to hv closed by remote host. | the connection may have been lost: try again, and see what `deployvm status` says
        the hypervisor gave no whole answer to observe | deployvm-beginhost | the connection may have been lost: try again, and see what `deployvm status` says
        the hypervisor's login did not run observe | garbage | deployvm needs a login that runs commands: this must print nothing and succeed: ssh hv true
        ");
        let late = stopped(OBSERVE, Stopped::TooLate, "ssh hv true");
        let long = stopped(OBSERVE, Stopped::TooLong(b"y\ny\ny\ny\n".to_vec()), "ssh hv true");
        assert_eq!((late.aftermath.code(), long.aftermath.code(), long.output.len()), (11, 11, 4));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Reply::parse(&bytes), Reply::parse_followed(&bytes));
        }

        #[test]
        fn fields_survive(fields in proptest::collection::vec("[^\0]{0,20}", 0..8)) {
            let mut bytes = b"rc file says hello\n\0deployvm-begin\0".to_vec();
            for f in &fields { bytes.extend_from_slice(f.as_bytes()); bytes.push(0); }
            bytes.extend_from_slice(b"deployvm-end\x000\0");
            prop_assert_eq!(Reply::parse(&bytes).unwrap().fields, fields);
        }
    }
}
