//! The periods that usage is counted in, in UTC.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

const MS_A_DAY: i64 = 24 * 3600 * 1000;

/// A calendar month: months since January of year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i32);

/// A day: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Month {
    /// The month of an instant, Unix milliseconds. Instants outside the calendar are in its first or last month.
    pub fn of(ms: i64) -> Self {
        let nearest = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let instant = Timestamp::from_millisecond(ms).unwrap_or(nearest);
        let day: Date = TimeZone::UTC.to_datetime(instant).date();
        Self(i32::from(day.year()) * 12 + i32::from(day.month()) - 1)
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// When the next one begins, Unix milliseconds.
    pub fn end_ms(self) -> i64 {
        let next = self.0 + 1;
        let (year, month) = (next.div_euclid(12), next.rem_euclid(12) + 1);
        // Past the end of the calendar there is nothing to renew.
        let Ok(year) = i16::try_from(year) else {
            return i64::MAX;
        };
        if year > 9999 {
            return i64::MAX;
        }
        let first = date(year, i8::try_from(month).unwrap_or(1), 1);
        TimeZone::UTC
            .to_timestamp(first.at(0, 0, 0, 0))
            .map_or(i64::MAX, Timestamp::as_millisecond)
    }
}

impl Day {
    /// The day of an instant, Unix milliseconds.
    pub const fn of(ms: i64) -> Self {
        Self(ms.div_euclid(MS_A_DAY))
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_at_midnight_of_their_first_day() {
        // 2026-02-01T00:00:00Z
        let february = 1_769_904_000_000;
        let month = Month::of(february);
        assert_eq!(month.number(), 2026 * 12 + 1);
        assert_eq!(Month::of(february - 1).number(), month.number() - 1);
        assert_eq!(Month::of(february - 1).end_ms(), february);
        assert_eq!(Month::of(month.end_ms() - 1), month);
        assert!(Month::of(month.end_ms()) > month);
    }

    #[test]
    fn december_is_followed_by_january_and_the_calendar_has_ends() {
        // 2026-12-31T23:59:59.999Z
        let last = 1_798_761_599_999;
        assert_eq!(Month::of(last).end_ms(), last + 1);
        assert_eq!(Month::of(i64::MAX).end_ms(), i64::MAX);
        assert!(Month::of(i64::MIN) < Month::of(0));
    }

    #[test]
    fn days_go_on_before_1970() {
        assert_eq!(Day::of(-1).number(), -1);
        assert_eq!(Day::of(0).number(), 0);
        assert_eq!(Day::of(MS_A_DAY).number(), 1);
    }
}
