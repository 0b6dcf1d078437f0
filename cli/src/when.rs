//! Times as an operator writes them: an expiry to come, a moment, a span, a minute of the day, a day of the week.

use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;

/// A time that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry(Timestamp);

/// Any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(Timestamp);

/// A length of time, not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(u32);

/// A minute of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute(u16);

/// A day of the week, Monday 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(u8);

/// The days by the names that operators use, Monday first.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The text is no time of the kind that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    /// Neither form.
    #[error("write an RFC 3339 time (2030-01-31T12:00:00Z), days (30d) or hours (12h)")]
    NotATime,
    /// An API key that never worked helps nobody.
    #[error("that time has passed")]
    Past,
    /// Later or earlier than calendars go.
    #[error("that time is too far away")]
    TooFar,
    /// No length of time.
    #[error("write seconds (90s) or minutes (5m)")]
    NotASpan,
    /// No minute of the day.
    #[error("write a time of day from 00:00 to 23:59")]
    NotAMinute,
    /// No day of the week.
    #[error("the days are {}", DAYS.join(", "))]
    NotADay,
}

/// A number with one of the given units, as a product.
fn counted(text: &str, units: &[(char, u32)]) -> Option<i64> {
    units.iter().find_map(|(unit, factor)| {
        let digits = text.strip_suffix(*unit)?;
        let count: u32 = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())??;
        Some(i64::from(count) * i64::from(*factor))
    })
}

impl Expiry {
    /// Reads either form; durations count from `now`.
    ///
    /// # Errors
    /// [`InvalidTime`] for anything else.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, InvalidTime> {
        let time = match counted(text, &[('d', 24), ('h', 1)]) {
            Some(hours) => now
                .checked_add(SignedDuration::from_hours(hours))
                .map_err(|_| InvalidTime::TooFar)?,
            None => text.parse().map_err(|_| InvalidTime::NotATime)?,
        };
        if time > now {
            Ok(Self(time))
        } else {
            Err(InvalidTime::Past)
        }
    }

    /// Unix milliseconds.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }
}

impl Moment {
    /// Reads a time, or so many days, hours or minutes before `now`.
    ///
    /// # Errors
    /// [`InvalidTime`] for anything else.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, InvalidTime> {
        match counted(text, &[('d', 24 * 60), ('h', 60), ('m', 1)]) {
            Some(minutes) => now
                .checked_sub(SignedDuration::from_mins(minutes))
                .map_err(|_| InvalidTime::TooFar),
            None => text.parse().map_err(|_| InvalidTime::NotATime),
        }
        .map(Self)
    }

    /// Unix milliseconds.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }
}

impl Span {
    /// Milliseconds.
    pub fn as_millis(self) -> u64 {
        u64::from(self.0) * 1000
    }
}

impl FromStr for Span {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        counted(text, &[('s', 1), ('m', 60)])
            .and_then(|seconds| u32::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0)
            .map(Self)
            .ok_or(InvalidTime::NotASpan)
    }
}

impl Minute {
    /// Minutes since midnight.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl FromStr for Minute {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let two_digits = |text: &str, below: u16| {
            let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let number: u16 = is_number.then(|| text.parse().ok())??;
            (number < below).then_some(number)
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Some(two_digits(hour, 24)? * 60 + two_digits(minute, 60)?))
            .map(Self)
            .ok_or(InvalidTime::NotAMinute)
    }
}

impl Day {
    /// Its bit in a set of days, Monday the lowest.
    pub const fn bit(self) -> u8 {
        1 << self.0
    }
}

impl FromStr for Day {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        (0..)
            .zip(DAYS)
            .find_map(|(number, name)| (name == text).then_some(Self(number)))
            .ok_or(InvalidTime::NotADay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn both_forms_are_read_and_the_past_is_refused() {
        let at = |text| Expiry::parse(text, now()).map(|expiry| expiry.0.to_string());
        assert_eq!(at("30d").unwrap(), "2026-01-31T00:00:00Z");
        assert_eq!(at("12h").unwrap(), "2026-01-01T12:00:00Z");
        assert_eq!(at("2027-06-01T10:00:00+02:00").unwrap(), "2027-06-01T08:00:00Z");
        for past in ["0d", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"] {
            assert_eq!(at(past), Err(InvalidTime::Past), "{past}");
        }
        for other in ["", "d", "-1d", "+1d", "30", "30 d", "soon", "1.5d", "2027-06-01"] {
            assert_eq!(at(other), Err(InvalidTime::NotATime), "{other}");
        }
        assert_eq!(at("4294967295d"), Err(InvalidTime::TooFar));
    }

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let at = |text| Moment::parse(text, now()).map(|moment| moment.0.to_string());
        assert_eq!(at("1d").unwrap(), "2025-12-31T00:00:00Z");
        assert_eq!(at("90m").unwrap(), "2025-12-31T22:30:00Z");
        assert_eq!(at("2024-01-01T00:00:00Z").unwrap(), "2024-01-01T00:00:00Z");
        assert_eq!(at("yesterday"), Err(InvalidTime::NotATime));
    }

    #[test]
    fn spans_minutes_and_days_are_read_and_nothing_else() {
        assert_eq!("90s".parse::<Span>().map(Span::as_millis), Ok(90_000));
        assert_eq!("5m".parse::<Span>().map(Span::as_millis), Ok(300_000));
        for bad in ["", "5", "0m", "1h", "-5m", "4294967295m"] {
            assert_eq!(bad.parse::<Span>(), Err(InvalidTime::NotASpan), "{bad}");
        }
        assert_eq!("23:59".parse::<Minute>().map(Minute::number), Ok(1439));
        for bad in ["24:00", "7:00", "07:60", "+7:00", "0700", ""] {
            assert_eq!(bad.parse::<Minute>(), Err(InvalidTime::NotAMinute), "{bad}");
        }
        assert_eq!("mon".parse::<Day>().map(Day::bit), Ok(1));
        assert_eq!("sun".parse::<Day>().map(Day::bit), Ok(64));
        assert_eq!("monday".parse::<Day>(), Err(InvalidTime::NotADay));
    }
}
