//! Times as the API writes them: RFC 3339, UTC, milliseconds, `Z`.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// The present time.
pub fn now() -> String {
    PRINTER.timestamp_to_string(&Timestamp::now())
}

/// The present time as Unix milliseconds.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A time that another daemon gave as Unix milliseconds. What lies outside the calendar (years -9999 to
/// 9999) is shown as its nearest end rather than failing an answer over a date.
pub fn from_unix_ms(ms: i64) -> String {
    let nearest = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    PRINTER.timestamp_to_string(&Timestamp::from_millisecond(ms).unwrap_or(nearest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_decimals_and_a_z() {
        assert_eq!(from_unix_ms(1_768_473_000_000), "2026-01-15T10:30:00.000Z");
        assert_eq!(from_unix_ms(1_768_473_000_007), "2026-01-15T10:30:00.007Z");
        assert_eq!(from_unix_ms(0), "1970-01-01T00:00:00.000Z");
        assert!(from_unix_ms(i64::MAX).starts_with("9999-12-30T"));
        assert_eq!(now().len(), "2026-01-15T10:30:00.000Z".len());
    }
}
