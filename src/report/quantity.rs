//! How sizes, times and store paths are written: one way everywhere.

use crate::model::store_path::StorePath;

/// Bytes in binary units, such as `14.0 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // 1023.95 would be printed as 1024.0.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A difference in bytes, always with a sign but for nothing at all.
pub fn signed_bytes(difference: i64) -> String {
    let sign = match difference {
        0 => "",
        d if d < 0 => "-",
        _ => "+",
    };
    format!("{sign}{}", bytes(difference.unsigned_abs()))
}

/// The difference between two sizes, signed.
pub fn growth(before: u64, after: u64) -> String {
    let difference = i128::from(after) - i128::from(before);
    signed_bytes(i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX }))
}

/// A duration: `420 ms`, `1.8 s`, `2 min 5 s`.
pub fn millis(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        // 59.95 s would be printed as 60.0 s.
        1_000..59_950 => format!("{:.1} s", millis as f64 / 1000.0),
        _ => {
            let seconds = (millis + 500) / 1000;
            format!("{} min {} s", seconds / 60, seconds % 60)
        }
    }
}

/// An age in the one unit that fits: `45 s`, `12 min`, `3 h`, `2 d`.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A store path short enough for a line: eight characters of its hash, and its name.
pub fn short(path: &StorePath) -> String {
    format!("{}-{}", short_hash(path), path.name())
}

/// Eight characters of a store path's hash.
pub fn short_hash(path: &StorePath) -> &str {
    path.hash().get(..8).unwrap_or_default()
}

/// From one path to another: the name is said once if it is the same.
pub fn short_move(from: Option<&StorePath>, to: &StorePath) -> String {
    match from {
        None => short(to),
        Some(from) if from == to => short(to),
        Some(from) if from.name() == to.name() => {
            format!("{} {} → {}", to.name(), short_hash(from), short_hash(to))
        }
        Some(from) => format!("{} → {}", short(from), short(to)),
    }
}

/// A revision short enough for a column, with `+` when the tree was dirty.
pub fn revision(revision: Option<&str>, dirty: Option<bool>) -> String {
    let Some(revision) = revision else { return String::new() };
    let short: String = crate::error::clean_line(revision).chars().take(9).collect();
    if dirty == Some(true) { format!("{short}+") } else { short }
}

/// An RFC 3339 time to the minute, as people read it: `2026-11-20 18:39`.
pub fn minute(time: Option<&str>) -> String {
    let time = crate::error::clean_line(time.unwrap_or_default());
    time.get(..16).map(|text| text.replacen('T', " ", 1)).unwrap_or(time)
}

/// The same without its year, where there is no room for it: `11-20 18:39`.
pub fn without_year(minute: &str) -> &str {
    match minute.split_once('-') {
        Some((year, rest)) if year.len() == 4 && !rest.is_empty() => rest,
        _ => minute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_carry_their_sign() {
        for (difference, text) in [
            (0, "0 B"),
            (1, "+1 B"),
            (-1023, "-1023 B"),
            (1024, "+1.0 KiB"),
            (-921_600, "-900.0 KiB"),
            (1_048_575, "+1.0 MiB"),
            (i64::MAX, "+8192.0 PiB"),
            (i64::MIN, "-8192.0 PiB"),
        ] {
            assert_eq!(signed_bytes(difference), text);
        }
        assert_eq!(growth(0, u64::MAX), "+8192.0 PiB");
        assert_eq!(growth(10, 4), "-6 B");
    }

    #[test]
    fn durations_are_short() {
        for (value, text) in [
            (0, "0 ms"),
            (420, "420 ms"),
            (1_800, "1.8 s"),
            (59_949, "59.9 s"),
            (59_999, "1 min 0 s"),
            (125_000, "2 min 5 s"),
        ] {
            assert_eq!(millis(value), text);
        }
        assert_eq!([age(59), age(61), age(7_200), age(172_800)], ["59 s", "1 min", "2 h", "2 d"]);
    }

    #[test]
    fn a_move_says_the_name_once() {
        let path = |hash: &str, name: &str| -> StorePath {
            format!("/nix/store/{}-{name}", hash.repeat(8)).parse().unwrap()
        };
        let (a, b, c) = (path("abcd", "x-vm1"), path("1234", "x-vm1"), path("9876", "y-vm1"));
        assert_eq!(short_move(Some(&a), &b), "x-vm1 abcdabcd → 12341234");
        assert_eq!(short_move(Some(&a), &c), "abcdabcd-x-vm1 → 98769876-y-vm1");
        assert_eq!(short_move(None, &a), "abcdabcd-x-vm1");
        assert_eq!(minute(Some("2026-11-20T18:39:01Z")), "2026-11-20 18:39");
        assert_eq!([without_year("2026-11-20 18:39"), without_year("x-y")], ["11-20 18:39", "x-y"]);
        assert_eq!(revision(Some("0123456789abcdef"), Some(true)), "012345678+");
    }
}
