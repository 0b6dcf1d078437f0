//! The part of the status that this host tells and no daemon: readiness, sealing, certificate, room. Each is null in JSON
//! where it is not known from here.

use crate::certificate::Shown;
use crate::command::doctor;
use crate::host::config::Configuration;
use crate::host::disk::bytes;
use crate::host::monitor::Readiness;
use crate::host::{Look, credentials};
use crate::output::Table;
use jiff::Timestamp;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// In JSON, beside what the daemons say.
#[derive(Debug, Default, Serialize)]
pub struct Here {
    /// The gateway's word on itself and the others; null when its monitor does not answer.
    pub readiness: Option<Readiness>,
    /// Why not.
    #[serde(skip)]
    unready: Option<String>,
    /// With what the credentials are sealed.
    pub sealed_by: Option<String>,
    /// The gateway's certificate.
    certificate: Option<Shown>,
    /// The file systems of the ledgers.
    disks: Vec<Disk>,
}

#[derive(Debug, Serialize)]
struct Disk {
    ledger: &'static str,
    directory: PathBuf,
    free_bytes: u64,
    total_bytes: u64,
    reserve_bytes: u64,
}

impl Here {
    /// Looks.
    pub fn look(config: &Path) -> Self {
        let configuration = Configuration::read(config);
        // Without a configuration nobody knows where the monitor is, which says nothing about the gateway.
        let asked = configuration
            .gateway
            .seen()
            .map(|_| doctor::readiness(&configuration));
        let (readiness, unready) = match asked {
            None => (None, None),
            Some(Look::Seen(readiness)) => (Some(readiness), None),
            Some(Look::Unseen(reason)) => (None, Some(reason)),
        };
        Self {
            readiness,
            unready,
            sealed_by: credentials::sealed_by(config).seen().cloned(),
            certificate: doctor::certificate(config)
                .seen()
                .and_then(Option::as_ref)
                .map(|chain| chain.shown(Timestamp::now())),
            disks: doctor::ledgers(&configuration)
                .into_iter()
                .filter_map(|ledger| {
                    let space = *ledger.space.seen()?;
                    Some(Disk {
                        ledger: ledger.name,
                        directory: ledger.directory,
                        free_bytes: space.free,
                        total_bytes: space.total,
                        reserve_bytes: ledger.reserve,
                    })
                })
                .collect(),
        }
    }

    /// Whether the gateway finds keyd well.
    pub fn keyd_is_ready(&self) -> bool {
        self.readiness
            .as_ref()
            .is_some_and(|readiness| readiness.keyd == "ready")
    }

    /// The rows above those of the daemons.
    pub fn rows_before(&self, table: &mut Table) {
        match (&self.readiness, &self.unready) {
            (Some(readiness), _) if readiness.is_ready() => {
                table.row(&["gateway", "ready: requests are answered"]);
            }
            (Some(readiness), _) => table.row(&[
                "gateway",
                &format!(
                    "NOT READY: it finds policyd {}, keyd {}",
                    readiness.policyd, readiness.keyd
                ),
            ]),
            (None, Some(reason)) => {
                table.row(&[
                    "gateway",
                    &format!("AWAY: its monitor does not answer ({reason})"),
                ]);
            }
            (None, None) => {}
        }
    }

    /// The rows below them.
    pub fn rows_after(&self, table: &mut Table) {
        if let Some(certificate) = &self.certificate {
            table.row(&["certificate", &certificate.line()]);
        }
        for disk in &self.disks {
            let low = if disk.free_bytes < disk.reserve_bytes {
                "LOW: "
            } else {
                ""
            };
            table.row(&[
                &format!("{} disk", disk.ledger),
                &format!(
                    "{low}{} of {} free, warned below {}",
                    bytes(disk.free_bytes),
                    bytes(disk.total_bytes),
                    bytes(disk.reserve_bytes)
                ),
            ]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Chain;
    use crate::test_certificates::Made;

    fn shown(here: &Here) -> String {
        let mut table = Table::without_heading();
        here.rows_before(&mut table);
        here.rows_after(&mut table);
        table.to_string()
    }

    fn readiness(status: &str) -> Option<Readiness> {
        Some(Readiness {
            status: status.to_owned(),
            policyd: "without keyd".to_owned(),
            keyd: "unavailable".to_owned(),
        })
    }

    #[test]
    fn what_is_not_known_has_no_row_and_is_null() {
        let here = Here::default();
        assert_eq!(shown(&here), "");
        let json = serde_json::to_value(&here).unwrap();
        assert!(json["readiness"].is_null() && json["certificate"].is_null() && json["sealed_by"].is_null());
        assert_eq!(json["disks"], serde_json::json!([]));
    }

    #[test]
    fn a_gateway_that_is_not_ready_or_away_says_so_loudly() {
        let here = |readiness, unready: Option<&str>| Here {
            readiness,
            unready: unready.map(str::to_owned),
            ..Here::default()
        };
        assert!(shown(&here(readiness("ready"), None)).contains("ready: requests are answered"));
        assert!(
            shown(&here(readiness("unavailable"), None)).contains("NOT READY: it finds policyd without keyd")
        );
        assert!(shown(&here(None, Some("refused"))).contains("AWAY: its monitor does not answer (refused)"));
    }

    #[test]
    fn room_below_the_reserve_and_the_certificate_are_told() {
        let made = Made::self_signed(&["localhost"]);
        let chain = Chain::parse(made.chain.as_bytes()).unwrap();
        let here = Here {
            certificate: Some(chain.shown(made.from)),
            disks: vec![Disk {
                ledger: "use ledger",
                directory: "/ledger".into(),
                free_bytes: 1 << 20,
                total_bytes: 1 << 30,
                reserve_bytes: 64 << 20,
            }],
            ..Here::default()
        };
        let said = shown(&here);
        assert!(
            said.contains("LOW: 1.0 MiB of 1.0 GiB free, warned below 64 MiB"),
            "{said}"
        );
        assert!(
            said.contains("self-signed, until ") && said.contains(": 90 days left"),
            "{said}"
        );
    }
}
