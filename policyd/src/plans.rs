//! The plans' terms in force: the defaults, or those of the plans file, which is read again on SIGHUP. A file that is
//! wrong in one place is refused as a whole, and what was in force stays.

use chancel_domain::plan::{Limits, Plans, Rate, Terms};
use chancel_domain::{Feature, Plan};
use chancel_service::config::{self, ConfigError};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The terms in force, and where they come from.
#[derive(Debug)]
pub struct PlanTable {
    file: Option<PathBuf>,
    current: RwLock<Arc<Plans>>,
}

impl PlanTable {
    /// Reads the file, where there is one.
    ///
    /// # Errors
    /// [`ConfigError`] when it is not a plans file.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let plans = file.map_or_else(|| Ok(Plans::default()), read)?;
        Ok(Self {
            file: file.map(Path::to_owned),
            current: RwLock::new(Arc::new(plans)),
        })
    }

    /// The terms in force.
    pub fn current(&self) -> Arc<Plans> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the file again; `true` when it is now in force.
    pub fn reload(&self) -> bool {
        let Some(file) = &self.file else {
            tracing::info!("the plans are the defaults; there is no plans file to read again");
            return false;
        };
        match read(file) {
            Ok(plans) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plans);
                tracing::info!(file = %file.display(), "the plans were read again");
                true
            }
            // The error names file, line and column itself.
            Err(error) => {
                tracing::error!(%error, "the plans file was refused; the plans stay as they were");
                false
            }
        }
    }
}

fn read(file: &Path) -> Result<Plans, ConfigError> {
    let file: PlansFile = config::load(file)?;
    let usual = Plans::default();
    let of = |plan, terms: Option<PlanTerms>| terms.unwrap_or_default().over(usual.of(plan));
    Ok(Plans::new([
        of(Plan::Free, file.free),
        of(Plan::Starter, file.starter),
        of(Plan::Growth, file.growth),
        of(Plan::Pro, file.pro),
        of(Plan::Enterprise, file.enterprise),
    ]))
}

/// A table for each plan; an absent one leaves the plan as it is by default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlansFile {
    free: Option<PlanTerms>,
    starter: Option<PlanTerms>,
    growth: Option<PlanTerms>,
    pro: Option<PlanTerms>,
    enterprise: Option<PlanTerms>,
}

/// What the file says of a plan; what is absent stays as it is by default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanTerms {
    features: Option<Vec<Feature>>,
    rate: Option<Limit<RateTerms>>,
    calls_per_month: Option<Limit<u64>>,
    keys_per_family: Option<Limit<u32>>,
    versions_per_key: Option<Limit<u32>>,
    api_keys: Option<Limit<u32>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateTerms {
    #[serde(deserialize_with = "positive")]
    per_second: u32,
    #[serde(deserialize_with = "positive")]
    burst: u32,
}

/// A figure, or the word "unlimited".
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "a figure, or \"unlimited\"")]
enum Limit<T> {
    Figure(T),
    Unlimited(Unlimited),
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Unlimited {
    #[serde(rename = "unlimited")]
    Unlimited,
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(D::Error::invalid_value(Unexpected::Unsigned(0), &"at least 1")),
        figure => Ok(figure),
    }
}

impl<T> Limit<T> {
    fn figure(self) -> Option<T> {
        match self {
            Self::Figure(figure) => Some(figure),
            Self::Unlimited(Unlimited::Unlimited) => None,
        }
    }
}

impl PlanTerms {
    fn over(self, usual: &Terms) -> Terms {
        fn over<T>(said: Option<Limit<T>>, usual: Option<T>) -> Option<T> {
            said.map_or(usual, Limit::figure)
        }
        let limits = &usual.limits;
        let rate = self.rate.map_or(limits.rate, |said| {
            said.figure()
                .map(|RateTerms { per_second, burst }| Rate { per_second, burst })
        });
        Terms {
            features: self.features.unwrap_or_else(|| usual.features.clone()),
            limits: Limits {
                rate,
                calls_per_month: over(self.calls_per_month, limits.calls_per_month),
                keys_per_family: over(self.keys_per_family, limits.keys_per_family),
                versions_per_key: over(self.versions_per_key, limits.versions_per_key),
                api_keys: over(self.api_keys, limits.api_keys),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<PlanTable, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plans.toml");
        std::fs::write(&file, text).unwrap();
        PlanTable::load(Some(&file))
    }

    #[test]
    fn what_the_file_does_not_say_is_as_by_default() {
        let text = r#"
[free]
calls_per_month = 7
api_keys = "unlimited"
rate = { per_second = 1, burst = 2 }
[enterprise]
features = ["key-rotation"]
"#;
        let plans = table(text).unwrap().current();
        let usual = Plans::default();
        let free = &plans.of(Plan::Free).limits;
        assert_eq!((free.calls_per_month, free.api_keys), (Some(7), None));
        assert_eq!(
            free.rate,
            Some(Rate {
                per_second: 1,
                burst: 2
            })
        );
        assert_eq!(free.keys_per_family, usual.of(Plan::Free).limits.keys_per_family);
        assert_eq!(plans.of(Plan::Enterprise).features, [Feature::KeyRotation]);
        assert_eq!(plans.of(Plan::Pro), usual.of(Plan::Pro));
        assert_eq!(*table("").unwrap().current(), usual);
    }

    #[test]
    fn files_that_are_wrong_anywhere_are_refused() {
        for text in [
            "[gold]\n",
            "[free]\ncalls = 1\n",
            "[free]\ncalls_per_month = -1\n",
            "[free]\ncalls_per_month = \"none\"\n",
            "[free]\nrate = { per_second = 0, burst = 1 }\n",
            "[free]\nrate = { per_second = 1 }\n",
            "[free]\nfeatures = [\"everything\"]\n",
            "[free\n",
        ] {
            table(text).unwrap_err();
        }
    }

    #[test]
    fn a_bad_file_leaves_the_plans_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("plans.toml");
        std::fs::write(&file, "[free]\napi_keys = 9\n").unwrap();
        let table = PlanTable::load(Some(&file)).unwrap();
        std::fs::write(&file, "[free]\napi_keys = 10\n[gold]\n").unwrap();
        assert!(!table.reload());
        assert_eq!(table.current().of(Plan::Free).limits.api_keys, Some(9));
        std::fs::write(&file, "[free]\napi_keys = 10\n").unwrap();
        assert!(table.reload());
        assert_eq!(table.current().of(Plan::Free).limits.api_keys, Some(10));
    }
}
