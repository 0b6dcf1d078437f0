//! The command line as data. Text becomes domain types here: what is no tenant id, plan, name or scope is a usage
//! error and never reaches policyd.

use crate::expiry::{Expiry, InvalidExpiry};
use chancel_domain::plan::PLANS;
use chancel_domain::tenant::{InvalidName, Name};
use chancel_domain::{ApiKeyId, Plan, Scopes, TenantId};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Operate a Chancel installation.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done, 1 refused or failed (standard error says why), 2 usage.\n\
                  With --json each answer is one JSON object; times are RFC 3339, absent values null."
)]
pub struct Arguments {
    /// policyd's admin socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "CHANCEL_ADMIN_SOCKET",
        default_value = "/run/chancel-policyd/admin.sock"
    )]
    pub admin_socket: PathBuf,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, list, suspend and resume tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Make, list, rotate and revoke a tenant's API keys
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Show how the daemons are
    Status,
}

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant
    Create {
        /// Its name, unique in the installation
        #[arg(value_parser = name)]
        name: Name,
        /// Its plan: free, starter, growth, pro or enterprise
        #[arg(long, default_value = "free", value_parser = plan)]
        plan: Plan,
    },
    /// List all tenants
    List,
    /// Deny a tenant everything, keeping its keys
    Suspend {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        id: TenantId,
    },
    /// Lift a tenant's suspension
    Resume {
        /// The tenant
        #[arg(value_name = "TENANT_ID")]
        id: TenantId,
    },
}

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Make an API key; its text is printed this once
    Create {
        /// The tenant it is for
        #[arg(long, value_name = "TENANT_ID")]
        tenant: TenantId,
        /// What it is called
        #[arg(long, value_parser = name)]
        name: Name,
        /// What it may do: OPERATION or OPERATION:ALGORITHM, separated by spaces, * for all of either
        #[arg(long, default_value = "*")]
        scopes: Scopes,
        /// When it stops working: an RFC 3339 time, or a number of days (30d) or hours (12h) from now
        #[arg(long, value_name = "WHEN", value_parser = expiry)]
        expires: Option<Expiry>,
    },
    /// List a tenant's API keys
    List {
        /// The tenant
        #[arg(long, value_name = "TENANT_ID")]
        tenant: TenantId,
    },
    /// Replace an API key's text; the old one is dead at once, the new one is printed this once
    Rotate(ApiKeyName),
    /// Revoke an API key for good
    Revoke(ApiKeyName),
}

/// Which API key.
#[derive(Debug, Clone, Copy, Args)]
pub struct ApiKeyName {
    /// The tenant it belongs to
    #[arg(long, value_name = "TENANT_ID")]
    pub tenant: TenantId,
    /// The API key
    #[arg(long, value_name = "API_KEY_ID")]
    pub id: ApiKeyId,
}

/// The text is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plans are {}", PLANS.map(|(_, name)| name).join(", "))]
struct UnknownPlan;

fn name(text: &str) -> Result<Name, InvalidName> {
    Name::try_from(text.to_owned())
}

fn plan(text: &str) -> Result<Plan, UnknownPlan> {
    Plan::from_name(text).map_err(|_| UnknownPlan)
}

fn expiry(text: &str) -> Result<Expiry, InvalidExpiry> {
    Expiry::parse(text, jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    const ID: &str = "0190b6c0-0000-4000-8000-000000000000";

    fn parsed(arguments: &[&str]) -> Result<Arguments, ErrorKind> {
        let line = std::iter::once(&"chancel").chain(arguments);
        Arguments::try_parse_from(line).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_documented_lines_are_understood() {
        for line in [
            &["tenant", "create", "Example Ltd", "--plan", "pro"][..],
            &["tenant", "list", "--json"],
            &["tenant", "suspend", ID],
            &["tenant", "resume", ID],
            &["--admin-socket", "/tmp/s", "api-key", "list", "--tenant", ID],
            &[
                "api-key",
                "create",
                "--tenant",
                ID,
                "--name",
                "ci",
                "--scopes",
                "sign verify:ML-DSA-65",
            ],
            &[
                "api-key",
                "create",
                "--tenant",
                ID,
                "--name",
                "ci",
                "--expires",
                "30d",
            ],
            &["api-key", "rotate", "--tenant", ID, "--id", ID],
            &["api-key", "revoke", "--tenant", ID, "--id", ID],
            &["status"],
        ] {
            assert!(parsed(line).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_domain_value_is_a_usage_error() {
        for line in [
            &["tenant", "create", "two\nlines"][..],
            &["tenant", "create", "x", "--plan", "platinum"],
            &["tenant", "suspend", "../etc"],
            &[
                "api-key", "create", "--tenant", ID, "--name", "ci", "--scopes", "root",
            ],
            &[
                "api-key", "create", "--tenant", ID, "--name", "ci", "--scopes", "",
            ],
            &[
                "api-key",
                "create",
                "--tenant",
                ID,
                "--name",
                "ci",
                "--expires",
                "2001-01-01T00:00:00Z",
            ],
        ] {
            assert_eq!(
                parsed(line).map(|_| ()),
                Err(ErrorKind::ValueValidation),
                "{line:?}"
            );
        }
    }
}
