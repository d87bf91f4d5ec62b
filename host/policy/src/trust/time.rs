//! Points in time as allowed_signers files have them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second that is shown as what it is: of 9999. No file can name a later one, and no
/// clock should.
const LAST: u64 = 253_402_300_799;

/// Seconds since 1970, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// Reads `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, each with or without a `Z`
    /// behind it. It is UTC either way: ssh-keygen takes a time without `Z` for that of
    /// the machine's own zone, and an initramfs has none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
        if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let part = |from: usize| digits.get(from..from + 2).unwrap_or("00");
        // A leap second, which humantime takes for the one before, is not known here.
        if part(12) == "60" {
            return None;
        }
        let rfc3339 = format!(
            "{}-{}-{}T{}:{}:{}Z",
            &digits[..4],
            part(4),
            part(6),
            part(8),
            part(10),
            part(12)
        );
        let time = humantime::parse_rfc3339(&rfc3339).ok()?;
        Some(Self(time.duration_since(UNIX_EPOCH).ok()?.as_secs()))
    }
}

/// The time that the clock of this machine shows.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Time(since.map_or(0, |since| since.as_secs()))
}

/// `2027-01-31T00:00:00Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_secs(self.0.min(LAST));
        humantime::format_rfc3339_seconds(time).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        for (text, seconds, shown) in [
            ("19700101", 0, "1970-01-01T00:00:00Z"),
            ("20000229Z", 951_782_400, "2000-02-29T00:00:00Z"),
            ("203801190314", 2_147_483_640, "2038-01-19T03:14:00Z"),
            ("20380119031407Z", 2_147_483_647, "2038-01-19T03:14:07Z"),
            ("99991231235959", 253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            let time = Time::parse(text).unwrap();
            assert_eq!((time, time.to_string().as_str()), (Time(seconds), shown));
        }
        assert_eq!(Time(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2027",
            "20270229",
            "20271301",
            "20270100",
            "202701012400",
            "20270101006",
            "2027010100600",
            "20270101006060",
            "20270101000060",
            "2027010a",
            "19691231",
            "2027-01-01",
            "+0270101",
            "20270101ZZ",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }
}
