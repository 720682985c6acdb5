//! `deployvm logs` and `deployvm console`: what microVMs and their units say.

use super::args::{Global, Selection};
use super::session::{self, Session};
use crate::error::{Aftermath, Result};
use crate::model::name::VmName;
use crate::pipeline::Target;
use crate::pipeline::logs::{self, Journals, Range};
use crate::report::logs::Prefixes;

/// Lines that are shown where nobody says how many.
const USUAL: u32 = 200;
/// The same where more is about to come.
const USUAL_FOLLOWED: u32 = 10;

/// Show the journals of VMs and of the units that run them, merged by time
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Which VMs.
    #[command(flatten)]
    pub selection: Selection,

    /// Go on with what comes, also over lost connections, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,

    /// From this time on: as shown (2026-01-31 12:00), a span back (10m), or in journalctl's words
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    pub since: Option<String>,

    /// Up to this time, written likewise
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    #[arg(conflicts_with = "follow")]
    pub until: Option<String>,

    /// Only messages that match; a pattern without capitals matches these, too
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    pub grep: Option<String>,

    /// So many of the newest lines, or all [default: 200; with --follow 10; with --since, --until or --grep all]
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<Lines>,
}

/// Show the console of a VM since it was started
#[derive(Debug, Clone, clap::Args)]
pub struct Console {
    /// The VM
    #[arg(value_name = "VM")]
    pub vm: VmName,

    /// Go on with what comes, also over restarts and lost connections, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,

    /// So many of the newest lines [default: all]
    #[arg(short = 'n', long, value_name = "N")]
    pub lines: Option<Lines>,
}

/// How many lines; `None` for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines(Option<u32>);

impl std::str::FromStr for Lines {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "all" => Ok(Self(None)),
            number => number
                .parse()
                .map(|lines| Self(Some(lines)))
                .map_err(|_| "write a number of lines, or all".to_owned()),
        }
    }
}

/// Runs `logs`.
///
/// # Errors
/// None: failures are reported here.
pub async fn run(global: &Global, args: Args) -> Result<u8> {
    session::run(global, false, async move |session| {
        let context = &session.context;
        let (target, tags) = (session.target()?, session.tags()?);
        let opening = logs::of(context, &target, &args.selection.vms, &tags);
        let journals = context.unless_interrupted(Aftermath::Declined, opening).await?;
        let prefixes = Prefixes::new(&journals.vms);
        read(session, &target, journals, args.range(), Some(&prefixes)).await
    })
    .await
}

/// Runs `console`.
///
/// # Errors
/// None: failures are reported here.
pub async fn console(global: &Global, args: Console) -> Result<u8> {
    session::run(global, false, async move |session| {
        let context = &session.context;
        let target = session.target()?;
        let opening = logs::console(context, &target, &args.vm);
        let journals = context.unless_interrupted(Aftermath::Declined, opening).await?;
        let lines = args.lines.and_then(|lines| lines.0);
        let range = Range { lines, follow: args.follow, ..Range::default() };
        read(session, &target, journals, range, None).await
    })
    .await
}

/// Reads to the end, or for as long as anybody wants to hear of it.
async fn read(
    session: &Session<'_>,
    target: &Target,
    journals: Journals,
    range: Range,
    prefixes: Option<&Prefixes>,
) -> Result<u8> {
    let follow = range.follow;
    let mut tell = |line| session.reporter.log(&line, prefixes);
    let reading = journals.read(&session.context, target, range, &mut tell);
    let reading = session.context.unless_interrupted(Aftermath::Declined, session.reporter.pace(reading));
    tokio::select! {
        read = reading => match read {
            // There is no other end of it.
            Err(failure) if follow && failure.aftermath == Aftermath::Declined => Ok(0),
            read => read.map(|()| 0),
        },
        () = session.reporter.unread() => Ok(0),
    }
}

impl Args {
    fn range(self) -> Range {
        let narrowed = self.since.is_some() || self.until.is_some() || self.grep.is_some();
        let usual = match (narrowed, self.follow) {
            (true, _) => None,
            (false, true) => Some(USUAL_FOLLOWED),
            (false, false) => Some(USUAL),
        };
        let lines = self.lines.map_or(usual, |lines| lines.0);
        Range { since: self.since, until: self.until, grep: self.grep, lines, follow: self.follow }
    }
}

/// A time in journalctl's words. Without a time zone it is UTC, as all times that we show;
/// words such as `yesterday` are the hypervisor's to understand.
fn moment(text: &str) -> std::result::Result<String, String> {
    let at = |time: jiff::Timestamp| format!("@{}.{:06}", time.as_second(), time.subsec_microsecond());
    if text.is_empty() || text.contains(|c: char| c.is_control()) {
        return Err("write a time, such as 2026-01-31 12:00, 10m or yesterday".to_owned());
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(at(time));
    }
    if let Ok(time) = text.parse::<jiff::civil::DateTime>()
        && let Ok(time) = jiff::tz::TimeZone::UTC.to_timestamp(time)
    {
        return Ok(at(time));
    }
    match text.parse::<jiff::SignedDuration>() {
        Ok(span) if span.is_positive() && !text.starts_with('+') => Ok(format!("-{}s", span.as_secs())),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_journalctls() {
        for (typed, asked) in [
            ("2026-11-21 16:57:25", "@1795280245.000000"),
            ("2026-11-21T16:57:25.619607Z", "@1795280245.619607"),
            ("2026-11-21 17:57:25+01:00", "@1795280245.000000"),
            ("2026-11-21", "@1795219200.000000"),
            ("10m", "-600s"),
            ("1h30m", "-5400s"),
            ("-1h", "-1h"),
            ("yesterday", "yesterday"),
            ("5 min ago", "5 min ago"),
            ("@1795280245", "@1795280245"),
        ] {
            assert_eq!(moment(typed).as_deref(), Ok(asked), "{typed}");
        }
        assert!(moment("").is_err() && moment("a\nb").is_err());
    }

    #[test]
    fn how_many_lines() {
        let lines = |args: Args| args.range().lines;
        assert_eq!(lines(Args::default()), Some(200));
        assert_eq!(lines(Args { follow: true, ..Args::default() }), Some(10));
        assert_eq!(lines(Args { grep: Some("x".to_owned()), ..Args::default() }), None);
        assert_eq!(lines(Args { lines: Some(Lines(None)), ..Args::default() }), None);
        assert_eq!("7".parse(), Ok(Lines(Some(7))));
        assert!("-7".parse::<Lines>().is_err());
    }
}
