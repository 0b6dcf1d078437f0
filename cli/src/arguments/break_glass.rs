//! `chancel break-glass …`

use super::value::name;
use crate::when::Span;
use chancel_domain::tenant::Name;
use clap::Subcommand;

/// What to do with break-glass.
#[derive(Debug, Subcommand)]
pub enum BreakGlassCommand {
    /// Open it: keyd takes uses from the gateway without permits. Opening again begins the time anew
    Open {
        /// For how long: seconds (90s) or minutes (5m)
        #[arg(long = "for", value_name = "TIME")]
        time: Span,
        /// Why; it stands in keyd's ledger
        #[arg(long, value_parser = name)]
        reason: Name,
    },
    /// Say whether it is open
    Status,
    /// Close it
    Close,
}
