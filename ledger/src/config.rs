//! A ledger's section of a daemon's configuration file.

use crate::LedgerName;
use crate::options::{Options, Sync};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Smaller segments would be all beginnings.
const LEAST_SEGMENT: u64 = 64 << 10;

/// `[ledger]`; see docs/configuration.md.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// Where the segments lie.
    pub directory: PathBuf,
    /// When records reach the disk.
    #[serde(default = "usual_sync", deserialize_with = "sync")]
    pub sync: Sync,
    /// Days that segments are kept.
    #[serde(default = "usual_retention", deserialize_with = "days")]
    pub retention_days: Duration,
    /// Bytes after which a new segment is begun.
    #[serde(default = "usual_segment", deserialize_with = "segment")]
    pub segment_bytes: u64,
    /// Free bytes below which the ledger warns.
    #[serde(default = "usual_reserve")]
    pub reserve_bytes: u64,
}

impl LedgerConfig {
    /// How the ledger of that name is kept.
    pub const fn options(&self, name: LedgerName) -> Options {
        let mut options = Options::of(name);
        options.sync = self.sync;
        options.retention = self.retention_days;
        options.segment_bytes = self.segment_bytes;
        options.reserve_bytes = self.reserve_bytes;
        options
    }
}

const USUAL: Options = Options::of(LedgerName::Decisions);

const fn usual_sync() -> Sync {
    USUAL.sync
}

const fn usual_retention() -> Duration {
    USUAL.retention
}

const fn usual_segment() -> u64 {
    USUAL.segment_bytes
}

const fn usual_reserve() -> u64 {
    USUAL.reserve_bytes
}

/// `"every-record"`, or a number of milliseconds as in `"10ms"`.
fn sync<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sync, D::Error> {
    const WANTED: &str = "\"every-record\", or \"1ms\" to \"1000ms\"";
    let text = String::deserialize(deserializer)?;
    if text == "every-record" {
        return Ok(Sync::EveryRecord);
    }
    text.strip_suffix("ms")
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|ms| (1..=1000).contains(ms))
        .map(|ms| Sync::Within(Duration::from_millis(ms)))
        .ok_or_else(|| D::Error::invalid_value(Unexpected::Other("another text"), &WANTED))
}

fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let days = u32::deserialize(deserializer)?;
    if days == 0 {
        return Err(D::Error::invalid_value(
            Unexpected::Unsigned(0),
            &"at least one day",
        ));
    }
    Ok(DAY.saturating_mul(days))
}

fn segment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let bytes = u64::deserialize(deserializer)?;
    if bytes < LEAST_SEGMENT {
        return Err(D::Error::invalid_value(
            Unexpected::Unsigned(bytes),
            &"at least 65536 bytes",
        ));
    }
    Ok(bytes)
}
