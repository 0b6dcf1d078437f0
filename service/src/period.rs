//! A length of time, as configuration files write it: a whole number and a unit, for example `"10ms"` or `"5m"`.

use serde::Deserialize;
use serde::de::{Error as _, Unexpected};
use std::time::Duration;

/// A length of time from a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(Duration);

/// Milliseconds of each unit; `ms` comes before the `s` and the `m` it is made of.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// What a file that is refused should have said.
const EXPECTED: &str = "a whole number with a unit, for example \"10ms\", \"30s\", \"5m\" or \"1h\"";

impl Period {
    /// As the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Reads a number of digits and a unit; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (digits, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
        // A sign, which the number's own parser takes, is none of ours.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let millis = digits.parse::<u64>().ok()?.checked_mul(factor)?;
        Some(Self(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Other("a text"), &EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit_are_periods_and_nothing_else_is() {
        for (text, millis) in [
            ("0s", 0),
            ("10ms", 10),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                Period::parse(text),
                Some(Period(Duration::from_millis(millis))),
                "{text}"
            );
        }
        for text in [
            "",
            "5",
            "m",
            "+5m",
            "-5m",
            "5 m",
            "5M",
            "1.5s",
            "99999999999999999999ms",
            "18446744073709551615h",
        ] {
            assert_eq!(Period::parse(text), None, "{text:?}");
        }
    }
}
