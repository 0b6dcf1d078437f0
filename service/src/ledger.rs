//! The `[ledger]` section, which policyd and keyd have alike. What it means is the business of whoever writes a ledger;
//! here it is read and checked.

use crate::period::Period;
use serde::Deserialize;
use serde::de::{Error as _, Unexpected};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::num::{NonZeroU32, NonZeroU64};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
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

/// Why the ledger's directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerDirectoryError {
    /// It cannot be made or looked at.
    #[error("ledger directory {0}: {1}")]
    Io(PathBuf, io::Error),
    /// Somebody else could change it, or everybody read it.
    #[error("ledger directory {0} must belong to this account, grant its group no writing and others nothing")]
    NotPrivate(PathBuf),
}

impl LedgerConfig {
    /// Makes the directory where it is missing, and refuses one that others could change or everybody read. Its group
    /// may read it: that is how auditors do.
    ///
    /// # Errors
    /// [`LedgerDirectoryError`]; nothing is repaired.
    pub fn prepare_directory(&self) -> Result<(), LedgerDirectoryError> {
        let io = |error| LedgerDirectoryError::Io(self.directory.clone(), error);
        match DirBuilder::new().mode(0o750).create(&self.directory) {
            Ok(()) => {
                if let Some(parent) = self.directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    File::open(parent).and_then(|parent| parent.sync_all()).map_err(io)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
        let found = fs::metadata(&self.directory).map_err(io)?;
        let owned = found.uid() == nix::unistd::geteuid().as_raw();
        if !found.is_dir() || !owned || found.mode() & 0o027 != 0 {
            return Err(LedgerDirectoryError::NotPrivate(self.directory.clone()));
        }
        Ok(())
    }

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
    fn a_directory_that_others_could_change_or_everybody_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("chancel-ledger-{}", std::process::id()));
        let config = parsed(&format!("directory = {path:?}")).unwrap();
        config.prepare_directory().unwrap();
        config.prepare_directory().unwrap();
        for mode in [0o770, 0o755, 0o751] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = config.prepare_directory();
            assert!(matches!(refused, Err(LedgerDirectoryError::NotPrivate(_))), "{mode:o}");
        }
        fs::remove_dir(&path).unwrap();
        let orphan = parsed("directory = \"/nonexistent/ledger\"").unwrap();
        assert!(matches!(orphan.prepare_directory(), Err(LedgerDirectoryError::Io(..))));
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
