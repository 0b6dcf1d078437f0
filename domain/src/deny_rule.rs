//! A tenant's own deny rules: conditions that must all hold for a request to be denied. A rule can only deny,
//! so that adding one never allows anything.

use crate::tenant::Name;
use crate::{Algorithm, Networks, Operation};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Rules of one tenant.
pub const MOST_DENY_RULES: usize = 32;

const MINUTES_A_DAY: u16 = 24 * 60;
const MS_A_MINUTE: i64 = 60_000;

/// One rule. A condition that is absent (or an empty list) holds for every request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenyRule {
    /// What it is called.
    pub name: Name,
    /// The operations it denies.
    pub operations: Vec<Operation>,
    /// The algorithms of the keys it denies the use of.
    pub algorithms: Vec<Algorithm>,
    /// When it denies.
    pub window: Option<Window>,
    /// Where the requests come from that it denies.
    pub sources: Option<Sources>,
}

/// Hours of a day, in UTC. `from` after `until` goes over midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawWindow", into = "RawWindow")]
pub struct Window {
    from: u16,
    until: u16,
    days: u8,
}

/// The parts of a [`Window`] as they travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawWindow {
    /// First minute of the day.
    pub from: u16,
    /// First minute that is no more in it.
    pub until: u16,
    /// Days on which it begins, Monday the lowest bit; none for every day.
    pub days: u8,
}

/// Minutes that a day does not have, or no minute at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a window is two different minutes of a day (00:00 to 23:59) and days of the week")]
pub struct InvalidWindow;

/// Where requests come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sources {
    /// From one of these networks.
    Within(Networks),
    /// From anywhere else.
    Outside(Networks),
}

impl DenyRule {
    /// Whether it has no condition at all: more likely a mistake than a wish.
    pub fn denies_everything(&self) -> bool {
        self.operations.is_empty()
            && self.algorithms.is_empty()
            && self.window.is_none()
            && self.sources.is_none()
    }

    /// Whether all conditions hold for a request. A rule for algorithms does not touch what names none; one for an operation
    /// holds for its special cases.
    pub fn denies(
        &self,
        operation: Operation,
        algorithm: Option<Algorithm>,
        source: IpAddr,
        now_ms: i64,
    ) -> bool {
        let general = operation.special_case_of();
        let is_named = |one: &Operation| *one == operation || Some(*one) == general;
        (self.operations.is_empty() || self.operations.iter().any(is_named))
            && (self.algorithms.is_empty() || algorithm.is_some_and(|named| self.algorithms.contains(&named)))
            && self.window.as_ref().is_none_or(|window| window.holds(now_ms))
            && self.sources.as_ref().is_none_or(|sources| sources.hold(source))
    }
}

impl Sources {
    fn hold(&self, source: IpAddr) -> bool {
        match self {
            Self::Within(networks) => networks.contain(source),
            Self::Outside(networks) => !networks.contain(source),
        }
    }
}

impl Window {
    /// Whether an instant, Unix milliseconds, lies in it.
    pub fn holds(&self, now_ms: i64) -> bool {
        let minutes = now_ms.div_euclid(MS_A_MINUTE);
        let day = minutes.div_euclid(MINUTES_A_DAY.into());
        let minute = minutes.rem_euclid(MINUTES_A_DAY.into());
        let (from, until) = (i64::from(self.from), i64::from(self.until));
        if from < until {
            self.begins_on(day) && (from..until).contains(&minute)
        } else {
            (self.begins_on(day) && minute >= from) || (self.begins_on(day - 1) && minute < until)
        }
    }

    /// `day` counts from 1970-01-01, a Thursday.
    const fn begins_on(&self, day: i64) -> bool {
        let weekday = (day + 3).rem_euclid(7);
        self.days == 0 || self.days & (1 << weekday) != 0
    }
}

impl TryFrom<RawWindow> for Window {
    type Error = InvalidWindow;

    fn try_from(raw: RawWindow) -> Result<Self, InvalidWindow> {
        let RawWindow { from, until, days } = raw;
        if from >= MINUTES_A_DAY || until >= MINUTES_A_DAY || from == until || days > 0x7f {
            return Err(InvalidWindow);
        }
        Ok(Self { from, until, days })
    }
}

impl From<Window> for RawWindow {
    fn from(window: Window) -> Self {
        Self {
            from: window.from,
            until: window.until,
            days: window.days,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    /// Thursday, 1970-01-01.
    const THURSDAY: u8 = 1 << 3;

    fn rule() -> DenyRule {
        DenyRule {
            name: Name::try_from("rule".to_owned()).unwrap(),
            operations: Vec::new(),
            algorithms: Vec::new(),
            window: None,
            sources: None,
        }
    }

    fn denies(rule: &DenyRule) -> bool {
        let source = "192.0.2.1".parse().unwrap();
        rule.denies(Operation::Sign, Some(Algorithm::MlDsa65), source, 0)
    }

    #[test]
    fn who_denies_an_operation_denies_its_special_cases_and_not_the_other_way_round() {
        let source = IpAddr::from([192, 0, 2, 1]);
        let of = |operation| DenyRule {
            operations: vec![operation],
            ..rule()
        };
        for (denied, asked, expected) in [
            (Operation::Sign, Operation::SignMu, true),
            (Operation::Sign, Operation::SignHash, true),
            (Operation::Encrypt, Operation::EncryptDeterministic, true),
            (Operation::SignMu, Operation::Sign, false),
            (Operation::SignMu, Operation::SignHash, false),
            (Operation::SignMu, Operation::SignMu, true),
            (Operation::Sign, Operation::Verify, false),
        ] {
            let found = of(denied).denies(asked, Some(Algorithm::MlDsa65), source, 0);
            assert_eq!(found, expected, "{denied} {asked}");
        }
    }

    #[test]
    fn a_rule_denies_when_all_its_conditions_hold() {
        assert!(denies(&rule()));
        let mut one = rule();
        one.operations = vec![Operation::Sign];
        one.algorithms = vec![Algorithm::MlDsa65];
        one.sources = Some(Sources::Within("192.0.2.0/24".parse().unwrap()));
        assert!(denies(&one));
        for spoil in [
            (|rule| rule.operations = vec![Operation::Verify]) as fn(&mut DenyRule),
            |rule| rule.algorithms = vec![Algorithm::MlKem768],
            |rule| rule.sources = Some(Sources::Outside("192.0.2.0/24".parse().unwrap())),
        ] {
            let mut other = one.clone();
            spoil(&mut other);
            assert!(!denies(&other));
        }
    }

    #[test]
    fn windows_go_over_midnight_and_belong_to_the_day_they_begin_on() {
        let window = |from, until, days| Window::try_from(RawWindow { from, until, days }).unwrap();
        let night = window(22 * 60, 6 * 60, THURSDAY);
        assert!(!night.holds(0));
        assert!(night.holds(22 * HOUR_MS));
        assert!(night.holds(29 * HOUR_MS));
        assert!(!night.holds(30 * HOUR_MS));
        assert!(!night.holds(46 * HOUR_MS));
        let day = window(8 * 60, 18 * 60, 0);
        assert!(day.holds(8 * HOUR_MS));
        assert!(!day.holds(18 * HOUR_MS));
        assert!(day.holds(-14 * HOUR_MS));
    }

    #[test]
    fn windows_that_are_none_are_refused() {
        for (from, until, days) in [(0, 0, 0), (1440, 0, 0), (0, 1440, 0), (0, 1, 0x80)] {
            assert_eq!(
                Window::try_from(RawWindow { from, until, days }),
                Err(InvalidWindow)
            );
        }
    }
}
