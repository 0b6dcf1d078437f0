//! Gathering the facts. Nothing is judged here, and nothing that cannot be looked at is an error.

use super::expected::{self, Sockets};
use super::facts::{Facts, LedgerRoom};
use crate::arguments::Places;
use crate::certificate::Chain;
use crate::command::tls;
use crate::host::config::Configuration;
use crate::host::kernel::Kernel;
use crate::host::systemd::{UNITS, Unit};
use crate::host::tls::chain_file;
use crate::host::{Look, credentials, disk, file, memory, monitor, process, systemd};
use jiff::Timestamp;
use std::path::Path;

/// Looks at everything.
pub fn facts(places: &Places) -> Facts {
    let config = &places.config_directory;
    let configuration = Configuration::read(config);
    let sockets = Sockets {
        keyd: &places.keyd_socket,
        admin: &places.admin_socket,
    };
    let units = systemd::units(&UNITS);
    Facts {
        now: Timestamp::now(),
        kernel: Kernel::look(),
        accounts: [
            configuration.keyd_account(),
            configuration.policyd_account(),
            configuration.gateway_account(),
        ],
        processes: processes(units.seen().map(Vec::as_slice).unwrap_or_default()),
        units,
        files: expected::all(config, &configuration, &sockets)
            .into_iter()
            .map(|expected| {
                let found = file::look(&expected.path);
                (expected, found)
            })
            .collect(),
        sealed_by: credentials::sealed_by(config),
        has_tpm: credentials::has_tpm(),
        ledgers: ledgers(&configuration),
        clock_synchronised: systemd::is_clock_synchronised(),
        certificate: certificate(config),
        swaps: memory::swaps(),
        readiness: readiness(&configuration),
        configuration,
    }
}

fn processes(units: &[Unit]) -> Vec<(String, Look<process::Confined>)> {
    units
        .iter()
        .filter_map(|unit| Some((unit.name.clone(), process::confinement(unit.pid?))))
        .collect()
}

/// Both ledgers' places, as far as the configuration is known.
pub fn ledgers(configuration: &Configuration) -> Vec<LedgerRoom> {
    let decisions = configuration.policyd.seen().map(|policyd| &policyd.ledger);
    let uses = configuration.keyd.seen().map(|keyd| &keyd.ledger);
    [("decision ledger", decisions), ("use ledger", uses)]
        .into_iter()
        .filter_map(|(name, ledger)| {
            let ledger = ledger?;
            Some(LedgerRoom {
                name,
                directory: ledger.directory.clone(),
                reserve: ledger.reserve_bytes,
                space: disk::space(&ledger.directory),
            })
        })
        .collect()
}

/// The chain in place; none is an answer.
pub fn certificate(config: &Path) -> Look<Option<Chain>> {
    let path = chain_file(config);
    match file::look(&path) {
        Look::Seen(None) => Look::Seen(None),
        _ => tls::read_chain(&path).map(Some).into(),
    }
}

/// What the monitor says, when the configuration says where it is.
pub fn readiness(configuration: &Configuration) -> Look<monitor::Readiness> {
    match &configuration.gateway {
        Look::Seen(gateway) => monitor::readiness(gateway.monitor_listen),
        Look::Unseen(reason) => Look::Unseen(reason.clone()),
    }
}
