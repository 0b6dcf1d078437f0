//! `chancel policy …`

use super::value::{algorithm, batch, moment, name, network, operation};
use crate::when::{Day, Minute, Moment};
use chancel_domain::network::Network;
use chancel_domain::tenant::Name;
use chancel_domain::{Algorithm, ApiKeyId, BatchSize, DenyRuleId, Operation, TenantId};
use clap::{Args, Subcommand};
use std::net::IpAddr;

/// What to do with the policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// A tenant's own deny rules
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Say rule by rule how a request would be judged; counts nothing and asks keyd nothing
    Explain(ExplainQuestion),
}

/// What to do with a tenant's deny rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// List them
    List {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        tenant: TenantId,
    },
    /// Add one; it holds from the next request on
    Add {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        tenant: TenantId,
        /// The rule
        #[command(flatten)]
        rule: NewRule,
    },
    /// Remove one
    Remove {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        tenant: TenantId,
        /// The rule
        #[arg(value_name = "RULE_ID")]
        id: DenyRuleId,
    },
}

/// A deny rule: it denies a request for which all that is said here holds.
#[derive(Debug, Args)]
pub struct NewRule {
    /// What it is called
    #[arg(long, value_parser = name)]
    pub name: Name,
    /// Deny this operation; may be given more than once; every operation when it is not
    #[arg(long = "operation", value_parser = operation)]
    pub operations: Vec<Operation>,
    /// Deny the use of keys of this algorithm; may be given more than once
    #[arg(long = "algorithm", value_parser = algorithm)]
    pub algorithms: Vec<Algorithm>,
    /// Deny from this time of day on (UTC)
    #[arg(long, value_name = "HH:MM", requires = "until")]
    pub from: Option<Minute>,
    /// Deny until this time of day (UTC); earlier than --from means on the next day
    #[arg(long, value_name = "HH:MM", requires = "from")]
    pub until: Option<Minute>,
    /// Deny only on this day (mon, tue, wed, thu, fri, sat, sun); may be given more than once
    #[arg(long = "day", requires = "from")]
    pub days: Vec<Day>,
    /// Deny requests from this network; may be given more than once
    #[arg(long, value_name = "NETWORK", value_parser = network, conflicts_with = "outside")]
    pub within: Vec<Network>,
    /// Deny requests from anywhere but this network; may be given more than once
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    pub outside: Vec<Network>,
}

/// A request that is not made.
#[derive(Debug, Args)]
pub struct ExplainQuestion {
    /// The tenant
    #[arg(value_name = "TENANT_ID")]
    pub tenant: TenantId,
    /// With which of its API keys
    #[arg(long, value_name = "API_KEY_ID")]
    pub api_key: ApiKeyId,
    /// What it would ask for
    #[arg(long, value_parser = operation)]
    pub operation: Operation,
    /// With a key of which algorithm
    #[arg(long, value_parser = algorithm)]
    pub algorithm: Option<Algorithm>,
    /// For a key of which algorithm, when a ciphertext would be rewrapped
    #[arg(long, value_parser = algorithm)]
    pub target_algorithm: Option<Algorithm>,
    /// With how many items, when it would be a batch
    #[arg(long, value_name = "ITEMS", value_parser = batch)]
    pub batch: Option<BatchSize>,
    /// From where
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<IpAddr>,
    /// When: an RFC 3339 time; now when it is not given
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub at: Option<Moment>,
}
