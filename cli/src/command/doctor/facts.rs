//! What the checks judge: one value with everything that was looked at.

use super::expected::Expected;
use crate::certificate::Chain;
use crate::host::Look;
use crate::host::config::{Account, Configuration};
use crate::host::disk::Space;
use crate::host::file::Found;
use crate::host::kernel::Kernel;
use crate::host::memory::Swap;
use crate::host::monitor::Readiness;
use crate::host::process::Confined;
use crate::host::systemd::Unit;
use jiff::Timestamp;
use std::path::PathBuf;

/// A host and the installation on it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// When they were gathered.
    pub now: Timestamp,
    /// What the kernel offers.
    pub kernel: Kernel,
    /// The configuration files.
    pub configuration: Configuration,
    /// The daemons' accounts: keyd's, policyd's, the gateway's.
    pub accounts: [Account; 3],
    /// [`UNITS`](crate::host::systemd::UNITS), as systemd knows them.
    pub units: Look<Vec<Unit>>,
    /// The daemons that run, by their unit's name.
    pub processes: Vec<(String, Look<Confined>)>,
    /// Sockets, directories and files with what they should be.
    pub files: Vec<(Expected, Look<Option<Found>>)>,
    /// The word in `sealed-by`.
    pub sealed_by: Look<String>,
    /// Whether there is a TPM.
    pub has_tpm: bool,
    /// Both ledgers.
    pub ledgers: Vec<LedgerRoom>,
    /// Whether others set the clock.
    pub clock_synchronised: Look<bool>,
    /// The chain in place.
    pub certificate: Look<Option<Chain>>,
    /// Swap in use.
    pub swaps: Look<Vec<Swap>>,
    /// What the monitor says.
    pub readiness: Look<Readiness>,
}

/// A ledger's place.
#[derive(Debug, Clone)]
pub struct LedgerRoom {
    /// `decision ledger`, `use ledger`.
    pub name: &'static str,
    /// Where.
    pub directory: PathBuf,
    /// What its daemon warns below.
    pub reserve: u64,
    /// What there is.
    pub space: Look<Space>,
}

impl Facts {
    /// A unit by its name.
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.seen()?.iter().find(|unit| unit.name == name)
    }
}
