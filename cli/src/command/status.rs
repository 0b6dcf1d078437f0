//! `chancel status`

use crate::client::Policyd;
use crate::failure::Failure;
use crate::output::{Output, Table};
use chancel_wire::admin::{AdminReply, AdminRequest, Status};
use serde::Serialize;

/// The answer in JSON. `keyd` is null while it is away, `reconciliation` before the first comparison.
#[derive(Serialize)]
struct Daemons {
    policyd: Policy,
    keyd: Option<Keyd>,
    reconciliation: Option<Comparison>,
}

#[derive(Serialize)]
struct Policy {
    version: String,
}

#[derive(Serialize)]
struct Keyd {
    version: String,
    kek_source: String,
    secret_memory: String,
}

/// How many key files and rows are in which condition.
#[derive(Serialize)]
struct Comparison {
    sound: u64,
    damaged: u64,
    missing: u64,
    unclaimed: u64,
    rolled_back: u64,
}

pub(super) async fn run(policyd: &Policyd, output: Output) -> Result<(), Failure> {
    let AdminReply::Status(status) = policyd.ask(&AdminRequest::Status).await? else {
        return Err(Failure::Unintelligible);
    };
    let daemons = Daemons::from(status);
    output.print(&daemons, || daemons.table())
}

impl From<Status> for Daemons {
    fn from(status: Status) -> Self {
        Self {
            policyd: Policy {
                version: status.policyd_version,
            },
            keyd: status.keyd.map(|keyd| Keyd {
                version: keyd.version,
                kek_source: keyd.kek_source,
                secret_memory: keyd.secret_memory,
            }),
            reconciliation: status.reconciliation.map(|found| Comparison {
                sound: found.sound,
                damaged: found.damaged,
                missing: found.missing,
                unclaimed: found.unclaimed,
                rolled_back: found.rolled_back,
            }),
        }
    }
}

impl Daemons {
    fn table(&self) -> Table {
        let mut table = Table::without_heading();
        table.row(&["policyd", &self.policyd.version]);
        match &self.keyd {
            None => table.row(&["keyd", "away"]),
            Some(keyd) => {
                table.row(&["keyd", &keyd.version]);
                table.row(&["key-encryption key", &keyd.kek_source]);
                table.row(&["secret memory", &keyd.secret_memory]);
            }
        }
        match &self.reconciliation {
            None => table.row(&["key files", "not compared yet"]),
            Some(found) => {
                for (what, count) in [
                    ("sound key files", found.sound),
                    ("damaged key files", found.damaged),
                    ("missing key files", found.missing),
                    ("unclaimed key files", found.unclaimed),
                    ("half-made keys destroyed", found.rolled_back),
                ] {
                    table.row(&[what, &count.to_string()]);
                }
            }
        }
        table
    }
}
