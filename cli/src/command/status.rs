//! `chancel status`: how the daemons are, the alarming things first; and what this host says of them.

mod here;

use super::plans;
use crate::client::{self, Policyd};
use crate::failure::{Daemon, Failure};
use crate::output::{Output, Table, seconds};
use chancel_domain::plan::Plans;
use chancel_wire::admin::{AdminReply, AdminRequest, Status};
use chancel_wire::keyd::{KeydHealth, KeydReply, KeydRequest};
use here::Here;
use serde::Serialize;
use std::path::Path;

/// The answer in JSON. `policyd` and `keyd` are null while they are away, `reconciliation` before the first comparison.
#[derive(Serialize)]
struct Daemons {
    policyd: Option<Policy>,
    keyd: Option<Keyd>,
    reconciliation: Option<Comparison>,
    #[serde(flatten)]
    here: Here,
}

#[derive(Serialize)]
struct Policy {
    version: String,
    ledger: String,
    /// Plans whose terms come from the plans file.
    changed_plans: Vec<&'static str>,
}

#[derive(Serialize)]
struct Keyd {
    version: String,
    kek_source: String,
    secret_memory: String,
    ledger: String,
    break_glass: BreakGlass,
}

#[derive(Serialize)]
struct BreakGlass {
    open: bool,
    remaining_ms: u64,
    uses: u64,
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

/// Asks policyd, which knows of keyd. When it does not answer, keyd is asked itself, which admits root alone: that is
/// the hour in which somebody wants to know whether break-glass is open.
pub(super) async fn run(
    policyd: impl FnOnce() -> Result<Policyd, Failure>,
    keyd: impl FnOnce() -> Result<client::Keyd, Failure>,
    config: &Path,
    output: Output,
) -> Result<(), Failure> {
    let failure = match ask(policyd).await {
        Ok((status, plans)) => {
            let daemons = Daemons::new(status, &plans, Here::look(config));
            return output.print(&daemons, || daemons.table());
        }
        Err(failure @ (Failure::NoSocket { .. } | Failure::NoAnswer { .. })) => failure,
        Err(failure) => return Err(failure),
    };
    let health = ask_keyd(keyd).await.ok();
    let here = Here::look(config);
    // Who is told nothing by anybody is told why, and not that all of it is away.
    if health.is_some() || here.readiness.is_some() {
        let daemons = Daemons {
            policyd: None,
            keyd: health.map(Keyd::from),
            reconciliation: None,
            here,
        };
        output.print(&daemons, || daemons.table())?;
    }
    Err(failure)
}

async fn ask(policyd: impl FnOnce() -> Result<Policyd, Failure>) -> Result<(Status, Plans), Failure> {
    let policyd = policyd()?;
    let AdminReply::Status(status) = policyd.ask(&AdminRequest::Status).await? else {
        return Err(Failure::Unintelligible(Daemon::Policyd));
    };
    Ok((status, plans::read(&policyd).await?))
}

async fn ask_keyd(keyd: impl FnOnce() -> Result<client::Keyd, Failure>) -> Result<KeydHealth, Failure> {
    keyd()?
        .ask(&KeydRequest::Health, |reply| match reply {
            KeydReply::Healthy(health) => Some(health),
            _ => None,
        })
        .await
}

impl From<KeydHealth> for Keyd {
    fn from(health: KeydHealth) -> Self {
        Self {
            version: health.version,
            kek_source: health.kek_source,
            secret_memory: health.secret_memory,
            ledger: health.ledger,
            break_glass: BreakGlass {
                open: health.break_glass.remaining_ms > 0,
                remaining_ms: health.break_glass.remaining_ms,
                uses: health.break_glass.uses,
            },
        }
    }
}

impl Daemons {
    fn new(status: Status, plans: &Plans, here: Here) -> Self {
        Self {
            policyd: Some(Policy {
                version: status.policyd_version,
                ledger: status.ledger,
                changed_plans: plans::changed(plans),
            }),
            keyd: status.keyd.map(Keyd::from),
            reconciliation: status.reconciliation.map(|found| Comparison {
                sound: found.sound,
                damaged: found.damaged,
                missing: found.missing,
                unclaimed: found.unclaimed,
                rolled_back: found.rolled_back,
            }),
            here,
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::without_heading();
        if let Some(Keyd { break_glass, .. }) = &self.keyd
            && break_glass.open
        {
            table.row(&["BREAK-GLASS", &break_glass.to_string()]);
        }
        self.here.rows_before(&mut table);
        match &self.policyd {
            None => table.row(&[
                "policyd",
                "AWAY: every request is denied, but for break-glass; see its log",
            ]),
            Some(policyd) => {
                table.row(&["policyd", &policyd.version]);
                table.row(&["decision ledger", &ledger(&policyd.ledger)]);
                table.row(&["plans", &policyd.plans()]);
            }
        }
        match &self.keyd {
            // It may be there all the same, and tell only root.
            None if self.policyd.is_none() && self.here.keyd_is_ready() => {
                table.row(&["keyd", "ready; while policyd is away it says more to root alone"]);
            }
            None => table.row(&[
                "keyd",
                "AWAY: uses of private keys and changes of keys fail; see its log",
            ]),
            Some(keyd) => {
                table.row(&["keyd", &keyd.version]);
                table.row(&["use ledger", &ledger(&keyd.ledger)]);
                table.row(&["key-encryption key", &self.key_encryption_key(keyd)]);
                table.row(&["secret memory", &keyd.secret_memory]);
                if !keyd.break_glass.open {
                    table.row(&["break-glass", "closed"]);
                }
            }
        }
        match &self.reconciliation {
            // policyd compares, and only it says so.
            None if self.policyd.is_none() => {}
            None => table.row(&["key files", "not compared yet"]),
            Some(found) => {
                for (what, count) in [
                    ("sound key files", found.sound),
                    ("damaged key files", found.damaged),
                    ("missing key files", found.missing),
                    ("unclaimed key files", found.unclaimed),
                    ("left-over files destroyed", found.rolled_back),
                ] {
                    table.row(&[what, &count.to_string()]);
                }
            }
        }
        self.here.rows_after(&mut table);
        table
    }

    /// Where it comes from; a credential was sealed by something.
    fn key_encryption_key(&self, keyd: &Keyd) -> String {
        match &self.here.sealed_by {
            Some(word) if keyd.kek_source == "credential" => {
                format!("credential, sealed by '{word}'")
            }
            _ => keyd.kek_source.clone(),
        }
    }
}

impl Policy {
    fn plans(&self) -> String {
        if self.changed_plans.is_empty() {
            return "the defaults".to_owned();
        }
        format!(
            "{} as the plans file says (chancel plans show)",
            self.changed_plans.join(", ")
        )
    }
}

impl std::fmt::Display for BreakGlass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "OPEN for another {} s, {} uses without permits; close it: chancel break-glass close",
            seconds(self.remaining_ms),
            self.uses
        )
    }
}

/// A ledger's health, and what it means.
fn ledger(health: &str) -> String {
    match health {
        "writable" => health.to_owned(),
        "low" => {
            "LOW on space: when it is full, uses of private keys and changes fail; make room now".to_owned()
        }
        other => format!(
            "{}: uses of private keys and changes fail until it can be written; its daemon's log says why",
            other.to_uppercase()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_wire::keyd::BreakGlassState;

    fn shown(remaining_ms: u64, ledger: &str) -> String {
        let status = Status {
            policyd_version: "1".to_owned(),
            keyd: Some(KeydHealth {
                kek_source: "file".to_owned(),
                secret_memory: "memfd_secret".to_owned(),
                version: "1".to_owned(),
                break_glass: BreakGlassState {
                    remaining_ms,
                    uses: 2,
                    longest_ms: 300_000,
                },
                ledger: "writable".to_owned(),
            }),
            ledger: ledger.to_owned(),
            reconciliation: None,
        };
        Daemons::new(status, &Plans::default(), Here::default())
            .table()
            .to_string()
    }

    #[test]
    fn open_break_glass_is_the_first_thing_that_is_said() {
        assert!(shown(1500, "writable").starts_with("BREAK-GLASS"));
        assert!(shown(1500, "writable").contains("OPEN for another 2 s, 2 uses"));
        assert!(shown(0, "writable").contains("break-glass         closed"));
    }

    #[test]
    fn without_policyd_keyd_is_shown_and_nothing_that_policyd_would_know() {
        let health = KeydHealth {
            kek_source: "file".to_owned(),
            secret_memory: "memfd_secret".to_owned(),
            version: "1".to_owned(),
            break_glass: BreakGlassState {
                remaining_ms: 1,
                uses: 0,
                longest_ms: 1,
            },
            ledger: "writable".to_owned(),
        };
        let daemons = Daemons {
            policyd: None,
            keyd: Some(Keyd::from(health)),
            reconciliation: None,
            here: Here::default(),
        };
        let said = daemons.table().to_string();
        assert!(said.starts_with("BREAK-GLASS"), "{said}");
        assert!(said.contains("AWAY"), "{said}");
        assert!(!said.contains("key files"), "{said}");
    }

    #[test]
    fn a_ledger_that_is_not_well_says_what_that_means() {
        assert!(shown(0, "low").contains("make room now"));
        assert!(shown(0, "unwritable").contains("UNWRITABLE: uses of private keys and changes fail"));
    }
}
