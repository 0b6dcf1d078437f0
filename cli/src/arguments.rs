//! The command line as data. Text becomes domain types here: what is no tenant id, plan, name or scope is a usage
//! error and never reaches a daemon.

mod api_key;
mod audit;
mod break_glass;
mod generate;
mod init;
mod mu;
mod policy;
mod tenant;
mod tls;
mod value;

pub use api_key::{ApiKeyCommand, NewKey, OperatorKeyCommand};
pub use audit::{AuditCommand, Format, Verify};
pub use break_glass::BreakGlassCommand;
pub use generate::GenerateCommand;
pub use init::InitArguments;
pub use mu::MuArguments;
pub use policy::{ExplainQuestion, NewRule, PolicyCommand, RulesCommand};
pub use tenant::{BudgetCommand, PlansCommand, TenantCommand, Uses};
pub use tls::{ImportArguments, TlsCommand};

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Where the packages have configuration, credentials and certificate.
pub const CONFIG_DIRECTORY: &str = "/etc/chancel";

/// Operate a Chancel installation.
#[derive(Debug, Parser)]
#[command(
    name = "chancel",
    version,
    after_help = "Exit codes: 0 done, 1 refused, failed or found something wrong (standard error says why), 2 usage.\n\
                  With --json each answer is one JSON object; times are RFC 3339, absent values null."
)]
pub struct Arguments {
    /// Where the daemons are
    #[command(flatten)]
    pub places: Places,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where an installation is: where its daemons listen for operators, and where its configuration lies.
#[derive(Debug, clap::Args)]
pub struct Places {
    /// policyd's admin socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "CHANCEL_ADMIN_SOCKET",
        default_value = "/run/chancel-policyd/admin.sock"
    )]
    pub admin_socket: PathBuf,
    /// keyd's socket, for break-glass and the audit key
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "CHANCEL_KEYD_SOCKET",
        default_value = "/run/chancel-keyd/keyd.sock"
    )]
    pub keyd_socket: PathBuf,
    /// The directory of the daemons' configuration, sealed credentials and certificate
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "CHANCEL_CONFIG_DIRECTORY",
        default_value = CONFIG_DIRECTORY
    )]
    pub config_directory: PathBuf,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the first tenant and an API key for it, and say how to try them
    Init(InitArguments),
    /// Make, list, suspend, resume and delete tenants, change their plans, see what they use
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Make, list, rotate and revoke a tenant's API keys
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// The same for operators' API keys, which make tenants and tenants' API keys over HTTP
    #[command(subcommand)]
    OperatorKey(OperatorKeyCommand),
    /// Limit the private-key uses of a tenant's key in a day
    #[command(subcommand)]
    KeyBudget(BudgetCommand),
    /// Show the plans' terms
    #[command(subcommand)]
    Plans(PlansCommand),
    /// A tenant's own deny rules, and how a request would be judged
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Let uses of private keys go on for minutes while policyd cannot answer; root only
    #[command(subcommand)]
    BreakGlass(BreakGlassCommand),
    /// Read and verify the ledgers
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The gateway's certificate: take another into use, show the one in place
    #[command(subcommand)]
    Tls(TlsCommand),
    /// Show how the daemons are
    Status,
    /// Look over this host and say what to mend; best as root
    Doctor,
    /// List the algorithms, with their names, sizes, standards and object identifiers
    Algorithms,
    /// Compute ML-DSA's mu of a message, to sign it with message_type EXTERNAL_MU without sending the message
    Mu(MuArguments),
    /// Write manual pages and completions, for packages
    #[command(subcommand, hide = true)]
    Generate(GenerateCommand),
}

#[cfg(test)]
mod tests;
