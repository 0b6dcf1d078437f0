//! Plans: which features a tenant has bought and which limits it lives within. The figures here are the defaults;
//! an installation's own come from its plans file.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// Making a new version of a key.
    KeyRotation,
    /// Replacing an API key's secret.
    ApiKeyRotation,
    /// X-Wing and composite signatures.
    Hybrid,
    /// SLH-DSA.
    SlhDsa,
    /// Deterministic encryption.
    DeterministicEncryption,
    /// Destroying keys.
    KeyDestruction,
}

/// Requests that may come in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// Requests a second, sustained; not 0.
    pub per_second: u32,
    /// Requests that may come at once after a pause; not 0.
    pub burst: u32,
}

/// Limits of a plan. `None` is "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Requests a second, for the tenant and for each of its API keys.
    pub rate: Option<Rate>,
    /// Allowed calls in a calendar month (UTC).
    pub calls_per_month: Option<u64>,
    /// Keys of each family. A key is what a tenant has of one algorithm, in one version or several that are active
    /// or retired.
    pub keys_per_family: Option<u32>,
    /// Versions of one key that are active or retired.
    pub versions_per_key: Option<u32>,
    /// API keys that are not revoked.
    pub api_keys: Option<u32>,
}

/// What a plan offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What it includes beside what every plan does.
    pub features: Vec<Feature>,
    /// Its limits.
    pub limits: Limits,
}

/// The terms of all plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plans([Terms; 5]);

/// All plans with the name that the API, the CLI and the database use.
pub const PLANS: [(Plan, &str); 5] = [
    (Plan::Free, "free"),
    (Plan::Starter, "starter"),
    (Plan::Growth, "growth"),
    (Plan::Pro, "pro"),
    (Plan::Enterprise, "enterprise"),
];

/// All features with the name that the plans file uses.
pub const FEATURES: [(Feature, &str); 6] = [
    (Feature::KeyRotation, "key-rotation"),
    (Feature::ApiKeyRotation, "api-key-rotation"),
    (Feature::Hybrid, "hybrid"),
    (Feature::SlhDsa, "slh-dsa"),
    (Feature::DeterministicEncryption, "deterministic-encryption"),
    (Feature::KeyDestruction, "key-destruction"),
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
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Terms {
    /// Whether a feature is included.
    pub fn include(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }
}

impl Plans {
    /// Terms for each plan, in the order of [`PLANS`].
    pub const fn new(terms: [Terms; 5]) -> Self {
        Self(terms)
    }

    /// The terms of a plan.
    pub const fn of(&self, plan: Plan) -> &Terms {
        let [free, starter, growth, pro, enterprise] = &self.0;
        match plan {
            Plan::Free => free,
            Plan::Starter => starter,
            Plan::Growth => growth,
            Plan::Pro => pro,
            Plan::Enterprise => enterprise,
        }
    }
}

impl Default for Plans {
    fn default() -> Self {
        use Feature::{ApiKeyRotation, DeterministicEncryption, Hybrid, KeyRotation, SlhDsa};
        let terms = |features: &[Feature], rate, calls, keys, versions, api_keys| Terms {
            features: features.to_vec(),
            limits: Limits {
                rate: Some(rate),
                calls_per_month: Some(calls),
                keys_per_family: Some(keys),
                versions_per_key: Some(versions),
                api_keys: Some(api_keys),
            },
        };
        let rate = |per_second, burst| Rate { per_second, burst };
        let starter = [KeyRotation, ApiKeyRotation, Hybrid, SlhDsa];
        let pro = [
            KeyRotation,
            ApiKeyRotation,
            Hybrid,
            SlhDsa,
            DeterministicEncryption,
        ];
        Self([
            terms(&[], rate(10, 20), 5_000, 1, 3, 1),
            terms(&starter, rate(50, 100), 15_000, 3, 10, 3),
            terms(&starter, rate(100, 200), 30_000, 5, 25, 5),
            terms(&pro, rate(500, 1_000), 100_000, 10, 50, 10),
            Terms {
                features: FEATURES.iter().map(|(feature, _)| *feature).collect(),
                limits: Limits {
                    rate: None,
                    calls_per_month: None,
                    keys_per_family: None,
                    versions_per_key: None,
                    api_keys: None,
                },
            },
        ])
    }
}

impl Feature {
    /// Its name in the plans file.
    pub fn name(self) -> &'static str {
        // NOTE(index): a test holds that the table lists the variants in their order.
        FEATURES[self as usize].1
    }
}

impl fmt::Display for Feature {
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
        for (index, (feature, name)) in FEATURES.iter().enumerate() {
            assert_eq!(*feature as usize, index);
            assert_eq!(feature.name(), *name);
        }
    }

    #[test]
    fn a_larger_plan_has_every_feature_of_a_smaller_one() {
        let plans = Plans::default();
        for pair in PLANS.windows(2) {
            let (less, more) = (plans.of(pair[0].0), plans.of(pair[1].0));
            assert!(less.features.iter().all(|feature| more.include(*feature)));
        }
        assert!(!plans.of(Plan::Free).include(Feature::KeyRotation));
        assert!(plans.of(Plan::Enterprise).include(Feature::KeyDestruction));
    }
}
