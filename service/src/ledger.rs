//! The `[ledger]` section, which policyd and keyd have alike. What it means is the business of whoever writes a ledger;
//! here it is read and checked.

use crate::period::Period;
use serde::Deserialize;
use serde::de::{Error as _, Unexpected};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

/// How a daemon keeps its ledger.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// Where its segments lie; made where it is missing, in a directory that exists.
    pub directory: PathBuf,
    /// When lines reach the disk.
    #[serde(default)]
    pub sync: LedgerSync,
    /// Days that a segment is kept after it was ended.
    #[serde(default = "default_retention_days")]
    pub retention_days: NonZeroU32,
    /// Bytes after which a new segment is begun.
    #[serde(default = "default_bytes")]
    pub segment_bytes: NonZeroU64,
    /// Free bytes of the file system below which the daemon warns.
    #[serde(default = "default_bytes")]
    pub reserve_bytes: NonZeroU64,
}

/// When lines of a ledger are made to outlive a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerSync {
    /// Before what they say is answered: `"every-record"`.
    EveryRecord,
    /// At most so long after they were written: `"10ms"`.
    Within(Duration),
}

impl Default for LedgerSync {
    fn default() -> Self {
        Self::Within(Duration::from_millis(10))
    }
}

/// More is no bound: a second of answers that a power failure could take back is much already.
const LONGEST: Duration = Duration::from_secs(1);

impl<'de> Deserialize<'de> for LedgerSync {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "every-record" {
            return Ok(Self::EveryRecord);
        }
        match Period::parse(&text).map(Period::duration) {
            Some(period) if !period.is_zero() && period <= LONGEST => Ok(Self::Within(period)),
            _ => Err(D::Error::invalid_value(
                Unexpected::Other("a text"),
                &"\"every-record\", or a time from \"1ms\" to \"1s\"",
            )),
        }
    }
}

impl LedgerConfig {
    /// How long a segment is kept after it was ended.
    pub fn retention(&self) -> Duration {
        Duration::from_secs(u64::from(self.retention_days.get()) * 24 * 3600)
    }
}

const fn default_retention_days() -> NonZeroU32 {
    // Six months.
    NonZeroU32::MIN.saturating_add(179)
}

const fn default_bytes() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add((64 << 20) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<LedgerConfig> {
        toml::from_str(text).ok()
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let config = parsed("directory = \"/d\"").unwrap();
        assert_eq!(config.sync, LedgerSync::Within(Duration::from_millis(10)));
        assert_eq!(config.retention(), Duration::from_secs(180 * 24 * 3600));
        assert_eq!(
            (config.segment_bytes.get(), config.reserve_bytes.get()),
            (64 << 20, 64 << 20)
        );
    }

    #[test]
    fn lines_are_synced_each_or_within_a_bounded_time() {
        let sync =
            |text: &str| parsed(&format!("directory = \"/d\"\nsync = \"{text}\"")).map(|config| config.sync);
        assert_eq!(sync("every-record"), Some(LedgerSync::EveryRecord));
        assert_eq!(sync("1s"), Some(LedgerSync::Within(LONGEST)));
        for bad in ["", "never", "0ms", "1001ms", "5m"] {
            assert_eq!(sync(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn zeros_and_unknown_members_are_refused() {
        for bad in [
            "retention_days = 0",
            "segment_bytes = 0",
            "reserve_bytes = 0",
            "keep = 1",
        ] {
            assert!(parsed(&format!("directory = \"/d\"\n{bad}")).is_none(), "{bad}");
        }
        assert!(parsed("").is_none(), "a ledger has a place");
    }
}
