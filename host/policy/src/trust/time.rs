//! Points in time as allowed_signers files have them.

use std::fmt;

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
        let number = |range: std::ops::Range<usize>| match digits.get(range) {
            Some(digits) => digits.parse::<u64>().ok(),
            None => Some(0),
        };
        let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
        let (hour, minute, second) = (number(8..10)?, number(10..12)?, number(12..14)?);
        let valid = year >= 1970
            && (1..=12).contains(&month)
            && (1..=days_of(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let days = (1970..year).map(days_of_year).sum::<u64>()
            + (1..month).map(|month| days_of(year, month)).sum::<u64>()
            + day.checked_sub(1)?;
        valid.then_some(Self(((days * 24 + hour) * 60 + minute) * 60 + second))
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `2027-01-31 00:00:00 UTC`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut days, seconds) = (self.0 / 86400, self.0 % 86400);
        let mut year = 1970;
        // No file can name a later year, and no clock should.
        while year < 9999 && days >= days_of_year(year) {
            days -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while month < 12 && days >= days_of(year, month) {
            days -= days_of(year, month);
            month += 1;
        }
        let (hour, minute) = (seconds / 3600, seconds / 60 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{:02} UTC",
            days + 1,
            seconds % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        for (text, seconds, shown) in [
            ("19700101", 0, "1970-01-01 00:00:00 UTC"),
            ("20000229Z", 951_782_400, "2000-02-29 00:00:00 UTC"),
            ("203801190314", 2_147_483_640, "2038-01-19 03:14:00 UTC"),
            ("20380119031407Z", 2_147_483_647, "2038-01-19 03:14:07 UTC"),
            ("99991231235959", 253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            let time = Time::parse(text).unwrap();
            assert_eq!((time, time.to_string().as_str()), (Time(seconds), shown));
        }
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
            "19691231",
            "2027-01-01",
            "+0270101",
            "20270101ZZ",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }
}
