//! The clock. Everybody else gets times from here.

use std::time::Duration;

/// A point on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Moment(std::time::Instant);

/// Now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
pub fn moment() -> Moment {
    Moment(std::time::Instant::now())
}

impl Moment {
    /// Time since then.
    pub fn elapsed(self) -> Duration {
        moment().0.saturating_duration_since(self.0)
    }
}

/// Seconds since 1970 in UTC.
#[expect(clippy::disallowed_methods, reason = "this is the door to the clock")]
pub fn unix_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map(|d| d.as_secs()).unwrap_or_default()
}

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(unix_seconds: u64) -> String {
    let seconds = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map(|t| t.to_string()).unwrap_or_default()
}

/// The same for microseconds since 1970, always with six digits of them.
pub fn rfc3339_micros(micros: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(micros);
    time.map(|t| t.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_width() {
        assert_eq!(rfc3339_micros(1_795_280_245_619_607), "2026-11-21T16:57:25.619607Z");
        assert_eq!(rfc3339_micros(1_795_280_245_000_000), "2026-11-21T16:57:25.000000Z");
        assert_eq!(rfc3339_micros(i64::MAX), "");
    }
}
