//! When an API key stops working, as an operator writes it.

use jiff::{SignedDuration, Timestamp};

/// A time that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry(Timestamp);

/// The text is no time to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExpiry {
    /// Neither form.
    #[error("write an RFC 3339 time (2030-01-31T12:00:00Z), days (30d) or hours (12h)")]
    NotATime,
    /// An API key that never worked helps nobody.
    #[error("that time has passed")]
    Past,
    /// Later than calendars go.
    #[error("that time is too far away")]
    TooFar,
}

impl Expiry {
    /// Reads either form; durations count from `now`.
    ///
    /// # Errors
    /// [`InvalidExpiry`] for anything else.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, InvalidExpiry> {
        let hours = [("d", 24), ("h", 1)].into_iter().find_map(|(unit, hours)| {
            let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
            Some(i64::from(count) * hours)
        });
        let time = match hours {
            Some(hours) => now
                .checked_add(SignedDuration::from_hours(hours))
                .map_err(|_| InvalidExpiry::TooFar)?,
            None => text.parse().map_err(|_| InvalidExpiry::NotATime)?,
        };
        if time > now {
            Ok(Self(time))
        } else {
            Err(InvalidExpiry::Past)
        }
    }

    /// Unix milliseconds.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_the_past_is_refused() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |text| Expiry::parse(text, now).map(|expiry| expiry.0.to_string());
        assert_eq!(at("30d").unwrap(), "2026-01-31T00:00:00Z");
        assert_eq!(at("12h").unwrap(), "2026-01-01T12:00:00Z");
        assert_eq!(at("2027-06-01T10:00:00+02:00").unwrap(), "2027-06-01T08:00:00Z");
        for past in ["0d", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"] {
            assert_eq!(at(past), Err(InvalidExpiry::Past), "{past}");
        }
        for other in ["", "d", "-1d", "30", "30 d", "soon", "1.5d", "2027-06-01"] {
            assert_eq!(at(other), Err(InvalidExpiry::NotATime), "{other}");
        }
        assert_eq!(at("4294967295d"), Err(InvalidExpiry::TooFar));
    }
}
