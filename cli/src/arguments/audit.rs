//! `chancel audit …`

use super::value::{moment, operation};
use crate::when::Moment;
use chancel_domain::{ApiKeyId, KeyHandle, Operation, RequestId, TenantId};
use chancel_ledger::Filter;
use clap::{Args, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

/// What to do with the ledgers.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Print the public half of the key that signs checkpoints, for `verify` and `openssl`; root only
    PublicKey {
        /// Write it to this file
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check copies of the ledgers, offline: the chain, the checkpoints, the agreement of both
    Verify(Verify),
    /// Show the newest records
    Tail {
        /// Of which ledger
        #[command(flatten)]
        which: Which,
        /// Which records
        #[command(flatten)]
        conditions: Conditions,
        /// How many
        #[arg(long, short = 'n', default_value_t = 20)]
        lines: usize,
        /// Go on until Ctrl-C
        #[arg(long, short)]
        follow: bool,
    },
    /// Find records, the newest first
    Query {
        /// Of which ledger
        #[command(flatten)]
        which: Which,
        /// Which records
        #[command(flatten)]
        conditions: Conditions,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Only those before this number, as the page before says it
        #[arg(long, value_name = "SEQ")]
        before: Option<u64>,
    },
    /// Write records to standard output, the oldest first
    Export {
        /// Of which ledger
        #[command(flatten)]
        which: Which,
        /// Which records
        #[command(flatten)]
        conditions: Conditions,
        /// Whole records as JSON lines, or the most asked-for columns
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
    },
}

/// What to verify.
#[derive(Debug, Args)]
pub struct Verify {
    /// The copies
    #[command(flatten)]
    pub copies: Copies,
    /// The audit key's public half, as `audit public-key` wrote it
    #[arg(long, value_name = "FILE", required_unless_present = "chain_only")]
    pub public_key: Option<PathBuf>,
    /// Check no signatures: whoever could write the files could have made the whole chain anew
    #[arg(long, conflicts_with = "public_key")]
    pub chain_only: bool,
}

/// Where the ledgers are. Without either option both of this host.
#[derive(Debug, Args)]
pub struct Copies {
    /// A directory with the decision ledger
    #[arg(long, value_name = "DIR")]
    decisions: Option<PathBuf>,
    /// A directory with the use ledger; without it, only the decisions are checked
    #[arg(long, value_name = "DIR", requires = "decisions")]
    uses: Option<PathBuf>,
}

impl Copies {
    /// The decisions' directory, and the uses' where they are to be checked.
    pub fn directories(&self) -> (&Path, Option<&Path>) {
        match &self.decisions {
            Some(decisions) => (decisions, self.uses.as_deref()),
            None => (Path::new(DECISIONS), Some(Path::new(USES))),
        }
    }
}

const DECISIONS: &str = "/var/lib/chancel-policyd/ledger";
const USES: &str = "/var/lib/chancel-keyd/ledger";

/// One ledger.
#[derive(Debug, Args)]
pub struct Which {
    /// What policyd decided, or what keyd did with private keys
    #[arg(long, value_enum, default_value_t = LedgerChoice::Decisions)]
    ledger: LedgerChoice,
    /// Where it is, if not in this host's usual place
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LedgerChoice {
    Decisions,
    Uses,
}

impl Which {
    /// Its directory.
    pub fn directory(&self) -> &Path {
        match (&self.directory, self.ledger) {
            (Some(directory), _) => directory,
            (None, LedgerChoice::Decisions) => Path::new(DECISIONS),
            (None, LedgerChoice::Uses) => Path::new(USES),
        }
    }
}

/// How to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Whole records, one a line.
    Jsonl,
    /// Columns, with a heading.
    Csv,
}

/// Which records; all that is given must hold.
#[derive(Debug, Default, Args)]
pub struct Conditions {
    /// Of this tenant
    #[arg(long, value_name = "TENANT_ID")]
    tenant: Option<TenantId>,
    /// By this API key
    #[arg(long, value_name = "API_KEY_ID")]
    api_key: Option<ApiKeyId>,
    /// Of this kind: allow, deny, change, use, key, refused, break-glass, start, stop, checkpoint, gap, …
    #[arg(long)]
    kind: Option<String>,
    /// Of this operation
    #[arg(long, value_parser = operation)]
    operation: Option<Operation>,
    /// Of this request, by the id in its answer
    #[arg(long, value_name = "REQUEST_ID")]
    request: Option<RequestId>,
    /// About this private key, by its handle
    #[arg(long, value_name = "HANDLE")]
    key: Option<KeyHandle>,
    /// Denied by this rule, for example quota or tenant-rule
    #[arg(long)]
    rule: Option<String>,
    /// Not before: an RFC 3339 time, or days (7d), hours (12h) or minutes (30m) ago
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Moment>,
    /// Before: the same
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Moment>,
}

impl From<&Conditions> for Filter {
    fn from(conditions: &Conditions) -> Self {
        Self {
            tenant: conditions.tenant.map(|id| id.to_string()),
            api_key: conditions.api_key.map(|id| id.to_string()),
            kind: conditions.kind.clone(),
            operation: conditions.operation.map(|operation| operation.to_string()),
            request: conditions.request.map(|id| id.to_string()),
            key: conditions.key.map(|handle| handle.to_string()),
            rule: conditions.rule.clone(),
            since_ms: conditions.since.map(Moment::as_millis),
            until_ms: conditions.until.map(Moment::as_millis),
        }
    }
}
