//! Plans: which features a tenant has bought and which limits it lives within.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A tenant's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Plan {
    /// For trying the service.
    Free,
    /// Small installations.
    Starter,
    /// Growing installations.
    Growth,
    /// Adds deterministic encryption.
    Pro,
    /// Everything, without limits of number.
    Enterprise,
}

/// Something that only some plans include.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Encrypt, decrypt, encapsulate, decapsulate, wrap, unwrap, sign, verify, first keys.
    Core,
    /// Making a new version of a key.
    KeyRotation,
}

/// Limits of a plan. `None` is "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second, sustained.
    pub requests_per_second: Option<u32>,
    /// Requests that may come at once after a pause.
    pub burst: Option<u32>,
    /// API calls in a calendar month (UTC).
    pub calls_per_month: Option<u64>,
    /// Keys of each family that are not archived.
    pub keys_per_family: Option<u32>,
    /// API keys that are not revoked.
    pub api_keys: Option<u32>,
}

/// All plans with the name that the API, the CLI and the database use.
pub const PLANS: [(Plan, &str); 5] = [
    (Plan::Free, "free"),
    (Plan::Starter, "starter"),
    (Plan::Growth, "growth"),
    (Plan::Pro, "pro"),
    (Plan::Enterprise, "enterprise"),
];

/// A name that is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown plan")]
pub struct UnknownPlan;

impl Plan {
    /// Looks a name up.
    ///
    /// # Errors
    /// [`UnknownPlan`] when no plan has that name.
    pub fn from_name(name: &str) -> Result<Self, UnknownPlan> {
        PLANS
            .iter()
            .find(|(_, n)| *n == name)
            .map(|(plan, _)| *plan)
            .ok_or(UnknownPlan)
    }

    /// Its name in the API, the CLI and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Starter => "starter",
            Self::Growth => "growth",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }

    /// Whether the plan includes a feature.
    pub const fn includes(self, feature: Feature) -> bool {
        match feature {
            Feature::Core => true,
            Feature::KeyRotation => !matches!(self, Self::Free),
        }
    }

    /// The plan's limits.
    pub const fn limits(self) -> Limits {
        let (requests_per_second, burst, calls_per_month, keys_per_family, api_keys) = match self {
            Self::Free => (Some(10), Some(20), Some(5_000), Some(1), Some(1)),
            Self::Starter => (Some(50), Some(100), Some(15_000), Some(3), Some(3)),
            Self::Growth => (Some(100), Some(200), Some(30_000), Some(5), Some(5)),
            Self::Pro => (Some(500), Some(1_000), Some(100_000), Some(10), Some(10)),
            Self::Enterprise => (None, None, None, None, None),
        };
        Limits {
            requests_per_second,
            burst,
            calls_per_month,
            keys_per_family,
            api_keys,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (plan, name) in PLANS {
            assert_eq!(plan.name(), name);
            assert_eq!(Plan::from_name(name), Ok(plan));
        }
    }

    #[test]
    fn rotation_starts_with_the_starter_plan() {
        assert!(!Plan::Free.includes(Feature::KeyRotation));
        assert!(Plan::Starter.includes(Feature::KeyRotation));
    }
}
